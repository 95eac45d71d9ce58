//! From a URL to a session whose cluster has been asked what its acknowledgements are worth.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chat_proto::Epoch;
use scylla::DeserializeRow;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::Node;
use scylla::frame::types::{Consistency, SerialConsistency};
use scylla::policies::load_balancing::{
    DefaultPolicy, NodeIdentifier, SingleTargetLoadBalancingPolicy,
};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::timestamp_generator::MonotonicTimestampGenerator;
use scylla::statement::Statement;
use uuid::Uuid;

use crate::config::{CONNECT_TIMEOUT, Config, REQUEST_TIMEOUT, SCHEMA_VERSION, check_keyspace};
use crate::cql::meta;
use crate::error::OpenError;

/// The oldest release with `paxos_variant: v2`.
const RELEASE_MIN: (u32, u32) = (4, 1);
/// Copies of which two may be asked for an answer while one is away.
const COPIES_MIN: u32 = 3;

/// A session in the keyspace, checked.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) epoch: Epoch,
    pub(crate) generation: i64,
}

pub(crate) async fn open(config: &Config) -> Result<Opened, OpenError> {
    let (session, datacenter) = connect(config).await?;
    check_keyspace_of(&session, config, &datacenter).await?;
    check_nodes(&session, &datacenter).await?;
    session
        .use_keyspace(&config.keyspace, false)
        .await
        .map_err(|error| OpenError::database("enter the keyspace", error))?;
    let kept = check_meta(&session, config).await?;
    Ok(Opened {
        session,
        epoch: Epoch::from_uuid(kept.epoch),
        generation: kept.generation,
    })
}

/// A session that asks nodes of one data centre, and which one that is.
pub(crate) async fn connect(config: &Config) -> Result<(Session, String), OpenError> {
    check_keyspace(config)?;
    let failed = |source: NewSession| OpenError::Connect {
        contact_points: config.contact_points.join(", "),
        source: Box::new(source),
    };
    let mut wanted = config.datacenter.clone();
    if wanted.is_none() {
        let session = builder(config, None).build().await.map_err(failed)?;
        wanted = Some(local(&session, None).await?.data_center);
    }
    let datacenter = wanted.unwrap_or_default();
    let session = builder(config, Some(&datacenter))
        .build()
        .await
        .map_err(failed)?;
    let state = session.get_cluster_state();
    let known: BTreeSet<&str> = state
        .get_nodes_info()
        .iter()
        .filter_map(|node| node.datacenter.as_deref())
        .collect();
    if !known.contains(datacenter.as_str()) {
        return Err(OpenError::NoSuchDatacenter {
            datacenter,
            found: known.into_iter().collect::<Vec<_>>().join(", "),
        });
    }
    drop(known);
    Ok((session, datacenter))
}

type NewSession = scylla::errors::NewSessionError;

fn builder(config: &Config, datacenter: Option<&str>) -> SessionBuilder {
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = datacenter {
        policy = policy.prefer_datacenter(datacenter.to_owned());
    }
    // Nothing is ever sent twice without us knowing: a conditional write that is repeated finds itself as its own rival.
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(REQUEST_TIMEOUT))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .speculative_execution_policy(None)
        .load_balancing_policy(policy.build())
        .build();
    let mut builder = SessionBuilder::new()
        // A node counts time for each connection apart: what follows on another one could seem to come before.
        .timestamp_generator(Arc::new(MonotonicTimestampGenerator::new()))
        .known_nodes(&config.contact_points)
        .connection_timeout(CONNECT_TIMEOUT)
        .fetch_schema_metadata(true)
        .keyspaces_to_fetch([config.keyspace.as_str()])
        .default_execution_profile_handle(profile.into_handle());
    if let Some((user, password)) = &config.login {
        builder = builder.user(user, password);
    }
    builder
}

#[derive(DeserializeRow)]
struct KeyspaceRow {
    durable_writes: bool,
    replication: HashMap<String, String>,
}

async fn check_keyspace_of(
    session: &Session,
    config: &Config,
    datacenter: &str,
) -> Result<(), OpenError> {
    let keyspace = config.keyspace.clone();
    let rows = query::<KeyspaceRow>(session, meta::KEYSPACE.into(), (&keyspace,)).await?;
    let Some(row) = rows.into_iter().next() else {
        return Err(OpenError::NoSchema { keyspace });
    };
    if !row.durable_writes {
        return Err(OpenError::NotDurable { keyspace });
    }
    let class = row.replication.get("class").map_or("", String::as_str);
    let copies = row.replication.get(datacenter);
    let copies: u32 = copies.and_then(|copies| copies.parse().ok()).unwrap_or(0);
    let good = class.ends_with("NetworkTopologyStrategy") && copies >= COPIES_MIN;
    if good {
        return Ok(());
    }
    if config.allow_single_node {
        tracing::warn!(%keyspace, "the store loses what was acknowledged with a single disk");
        return Ok(());
    }
    Err(OpenError::Replication {
        keyspace,
        found: format!("{class} with {copies} in it"),
        datacenter: datacenter.to_owned(),
    })
}

#[derive(DeserializeRow)]
struct SettingRow {
    name: String,
    value: Option<String>,
}

#[derive(DeserializeRow)]
struct LocalRow {
    release_version: String,
    data_center: String,
}

/// Asks every node of the data centre for itself: what one says of another is not what that one does.
async fn check_nodes(session: &Session, datacenter: &str) -> Result<(), OpenError> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter();
    for node in nodes.filter(|node| node.datacenter.as_deref() == Some(datacenter)) {
        let name = node.address.to_string();
        let asked = async {
            let local = local(session, Some(node)).await?;
            let settings = on_node(meta::SETTINGS, Some(node));
            let settings = query::<SettingRow>(session, settings, ()).await?;
            Ok::<_, OpenError>((local, settings))
        };
        match asked.await {
            Ok((local, settings)) => check_node(&name, &local, &settings)?,
            // A node that is down must not keep a chat server from starting; it acknowledges nothing meanwhile.
            Err(error) => {
                tracing::warn!(node = %name, %error, "a node could not be asked about its settings");
            }
        }
    }
    Ok(())
}

fn check_node(node: &str, local: &LocalRow, settings: &[SettingRow]) -> Result<(), OpenError> {
    let node = node.to_owned();
    if release(&local.release_version) < RELEASE_MIN {
        return Err(OpenError::Release {
            node,
            found: local.release_version.clone(),
        });
    }
    let value_of = |name: &str| {
        let row = settings.iter().find(|row| row.name == name);
        row.and_then(|row| row.value.clone()).unwrap_or_default()
    };
    let refused = |setting, found, wanted, why| {
        Err(OpenError::Setting {
            node: node.clone(),
            setting,
            found,
            wanted,
            why,
        })
    };
    let sync = value_of("commitlog_sync");
    if !matches!(sync.as_str(), "batch" | "group") {
        let why = "otherwise it acknowledges writes that a power loss undoes";
        return refused("commitlog_sync", sync, "`batch` or `group`", why);
    }
    let paxos = value_of("paxos_variant");
    if paxos != "v2" {
        let why = "only v2 keeps conditional writes right while nodes come and go";
        return refused("paxos_variant", paxos, "`v2`", why);
    }
    Ok(())
}

/// Major and minor; what cannot be read is older than everything.
fn release(text: &str) -> (u32, u32) {
    let mut parts = text
        .split(['.', '-', '~'])
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// What the keyspace says about itself.
#[derive(DeserializeRow)]
pub(crate) struct MetaRow {
    pub(crate) schema_version: i32,
    pub(crate) bucket_entries: i32,
    pub(crate) epoch: Uuid,
    pub(crate) generation: i64,
}

/// Reads the row that says what the rest is, and refuses another layout.
pub(crate) async fn check_meta(session: &Session, config: &Config) -> Result<MetaRow, OpenError> {
    let keyspace = config.keyspace.clone();
    let tables = query::<(String,)>(session, meta::META_TABLE.into(), (&keyspace,)).await?;
    if tables.is_empty() {
        return Err(OpenError::NoSchema { keyspace });
    }
    let mut statement = Statement::new(meta::META);
    statement.set_consistency(Consistency::LocalSerial);
    let rows = query::<MetaRow>(session, statement, ()).await?;
    let Some(row) = rows.into_iter().next() else {
        return Err(OpenError::NoSchema { keyspace });
    };
    if row.schema_version != SCHEMA_VERSION {
        return Err(OpenError::OtherSchema {
            keyspace,
            found: row.schema_version,
            known: SCHEMA_VERSION,
        });
    }
    if u32::try_from(row.bucket_entries) != Ok(config.bucket_entries) {
        return Err(OpenError::OtherBuckets {
            keyspace,
            found: row.bucket_entries,
            wanted: config.bucket_entries,
        });
    }
    Ok(row)
}

async fn local(session: &Session, node: Option<&Arc<Node>>) -> Result<LocalRow, OpenError> {
    let rows = query::<LocalRow>(session, on_node(meta::LOCAL, node), ()).await?;
    let missing = || OpenError::database("tell its release", "system.local is empty");
    rows.into_iter().next().ok_or_else(missing)
}

/// A statement for one node only, about itself.
fn on_node(cql: &str, node: Option<&Arc<Node>>) -> Statement {
    let mut statement = Statement::new(cql);
    statement.set_consistency(Consistency::One);
    statement.set_request_timeout(Some(CONNECT_TIMEOUT));
    if let Some(node) = node {
        let target = NodeIdentifier::Node(Arc::clone(node));
        let policy = SingleTargetLoadBalancingPolicy::new(target, None);
        statement.set_load_balancing_policy(Some(policy));
    }
    statement
}

/// The rows of a statement that is not prepared.
pub(crate) async fn query<T>(
    session: &Session,
    statement: Statement,
    values: impl scylla::serialize::row::SerializeRow,
) -> Result<Vec<T>, OpenError>
where
    T: for<'f, 'm> scylla::deserialize::row::DeserializeRow<'f, 'm>,
{
    const DOING: &str = "tell about itself";
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| OpenError::database(DOING, error);
    let result = session
        .query_unpaged(statement, values)
        .await
        .map_err(|error| failed(error.into()))?;
    let rows = result
        .into_rows_result()
        .map_err(|error| failed(error.into()))?;
    let rows = rows.rows::<T>().map_err(|error| failed(error.into()))?;
    rows.collect::<Result<_, _>>()
        .map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(release_version: &str, sync: &str, paxos: &str) -> Option<String> {
        let local = LocalRow {
            release_version: release_version.to_owned(),
            data_center: "dc".to_owned(),
        };
        let settings = [("commitlog_sync", sync), ("paxos_variant", paxos)];
        let settings = settings.map(|(name, value)| SettingRow {
            name: name.to_owned(),
            value: Some(value.to_owned()),
        });
        let checked = check_node("10.0.0.1:9042", &local, &settings);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn a_node_that_loses_or_mixes_up_writes_is_refused() {
        for release in ["4.1.0", "4.1-beta1", "5.0.6", "10.0"] {
            assert_eq!(refusal(release, "batch", "v2"), None);
        }
        assert_eq!(refusal("5.0.6", "group", "v2"), None);
        for (release, sync, paxos, what) in [
            ("4.0.12", "batch", "v2", "upgrade it to 4.1"),
            ("", "batch", "v2", "upgrade it to 4.1"),
            ("5.0.6", "periodic", "v2", "set it to `batch` or `group`"),
            ("5.0.6", "batch", "v1", "set it to `v2`"),
            (
                "5.0.6",
                "batch",
                "v2_without_linearizable_reads",
                "set it to `v2`",
            ),
            ("5.0.6", "", "v2", "commitlog_sync"),
        ] {
            let error = refusal(release, sync, paxos).expect(what);
            assert!(
                error.contains(what) && error.contains("10.0.0.1"),
                "{error}"
            );
        }
    }
}
