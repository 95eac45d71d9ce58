//! Single frames between store and node, lost or late at every step of an append: the body that goes before, the conditional
//! batch, the rows beside the log, and the answer to each. Whatever happens the message is in the log once or, if the store
//! says so, never, and everything that follows from the log follows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chat_core::ports::{EntriesQuery, MessageStore, PageLimit};
use chat_proto::channel::{Action, NewMessage};
use chat_proto::{Body, Seq};
use chat_store_cassandra::{CassandraStore, Config, apply_schema};
use chat_testkit::names::{fresh_user, fresh_users};
use chat_testkit::{LogWriter, Settled, Skip};
use scylla_proxy::{
    Condition, Node, Proxy, Reaction, RequestOpcode, RequestReaction, RequestRule, ResponseOpcode,
    ResponseReaction, ResponseRule, RunningProxy, ShardAwareness,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

/// More frames than an append sends.
const STEPS: usize = 9;
/// Longer than the store waits for an answer.
const LATE: Duration = Duration::from_secs(14);
/// Longer than fits into the row of an entry.
const LONG_BODY_BYTES: usize = 40 * 1024;

/// What happens to a frame.
#[derive(Clone, Copy, Debug)]
enum Fault {
    RequestLost,
    RequestLate,
    ResponseLost,
    ResponseLate,
    ConnectionLost,
}

const FAULTS: [Fault; 5] = [
    Fault::RequestLost,
    Fault::RequestLate,
    Fault::ResponseLost,
    Fault::ResponseLate,
    Fault::ConnectionLost,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_of_an_append_may_be_lost_or_late() {
    let Ok(points) = std::env::var("CHAT_TEST_CASSANDRA") else {
        return Skip("cassandra").announce();
    };
    let node: SocketAddr = points
        .split(',')
        .next()
        .and_then(|node| node.parse().ok())
        .expect("an address");
    let mut config = Config::new(
        [node.to_string()],
        format!("frames_{}", Uuid::new_v4().simple()),
    );
    config.allow_single_node = true;
    apply_schema(&config).await.expect("the schema is made");
    let calm = CassandraStore::open_with(config.clone())
        .await
        .expect("the store opens");
    let calm: Arc<dyn MessageStore> = Arc::new(calm);
    // Each has a proxy, a store and a channel of its own, and most of them wait: they run side by side.
    let mut cases = JoinSet::new();
    for fault in FAULTS {
        for step in 0..STEPS {
            cases.spawn(run(node, config.clone(), Arc::clone(&calm), fault, step));
        }
    }
    while let Some(ended) = cases.join_next().await {
        ended.expect("a case holds");
    }
}

async fn run(
    node: SocketAddr,
    mut config: Config,
    calm: Arc<dyn MessageStore>,
    fault: Fault,
    step: usize,
) {
    let (mut proxy, address) = proxy_before(node).await;
    config.contact_points = vec![address.to_string()];
    let store = CassandraStore::open_with(config)
        .await
        .expect("the store opens");
    let store: Arc<dyn MessageStore> = Arc::new(store);

    let (alice, members) = (fresh_user("alice"), fresh_users("member", 3));
    let mut writer = LogWriter::group(&calm, &alice, &members).await;
    let first = writer.say(&alice, "first").await.seq;
    let mut writer = writer.in_store(&store);
    let mut message = NewMessage::new(Body::text("x".repeat(LONG_BODY_BYTES)));
    message.thread = Some(first);
    let command = writer.command(&members[0], Action::Send(message));
    let client_id = command.key.expect("a command has a key").client_id;

    set_fault(&mut proxy, fault, step);
    let settled = writer.race(&command).await;
    proxy.turn_off_rules();
    let settled = settled.unwrap_or_else(|error| panic!("{fault:?} at {step}: {error:?}"));

    let query = EntriesQuery {
        channel: writer.channel(),
        after: Seq(0),
        limit: PageLimit {
            entries: 100,
            bytes: usize::MAX,
        },
    };
    let log = calm
        .entries(query)
        .await
        .expect("the store answers")
        .entries;
    let seqs: Vec<u64> = log.iter().map(|entry| entry.seq.0).collect();
    assert_eq!(
        seqs,
        (1..=log.len() as u64).collect::<Vec<_>>(),
        "{fault:?} at {step}"
    );
    let mut places = Vec::new();
    for entry in &log {
        if let Some(message) = entry.as_message()
            && message.client_id == client_id
        {
            let body = message.body.as_ref().map(Body::size_bytes);
            assert!(
                body >= Some(LONG_BODY_BYTES),
                "{fault:?} at {step}: {body:?}"
            );
            places.push(entry.seq);
        }
    }
    match settled {
        Settled::Written(entry) => assert_eq!(places, [entry.seq], "{fault:?} at {step}"),
        Settled::NotWritten(_) => assert_eq!(places, [], "{fault:?} at {step}"),
    }
    // Another server sees what follows from the log, whether or not it was written beside it.
    let mut other = LogWriter::new(&calm, writer.channel());
    other.catch_up().await.expect("the store answers");
    let said = other.say(&alice, "on").await.seq;
    let memberships = calm.memberships(writer.channel(), &members).await;
    let memberships = memberships.expect("the store answers");
    assert_eq!(memberships.through, said, "{fault:?} at {step}");
    assert_eq!(
        memberships.found.len(),
        members.len(),
        "{fault:?} at {step}"
    );
    // That a connection was lost on the way is what some cases are about.
    let _ = proxy.finish().await;
}

/// A proxy on a free port of the node's address: the driver takes the port that it was led to for the node's own.
async fn proxy_before(node: SocketAddr) -> (RunningProxy, SocketAddr) {
    let free = TcpListener::bind((node.ip(), 0)).await;
    let address = free
        .and_then(|free| free.local_addr())
        .expect("a free port");
    let between = Node::builder()
        .real_address(node)
        .proxy_address(address)
        .shard_awareness(ShardAwareness::Unaware)
        .build();
    let proxy = Proxy::builder().with_node(between).build().run().await;
    (proxy.expect("the proxy runs"), address)
}

/// The frame after so many others gets lost, or late. What the driver asks about the cluster is left alone.
fn set_fault(proxy: &mut RunningProxy, fault: Fault, step: usize) {
    let at_step = |is_step: Condition| {
        Condition::not(Condition::ConnectionRegisteredAnyEvent)
            .and(is_step)
            .and(Condition::not(Condition::TrueForLimitedTimes(step)))
            .and(Condition::TrueForLimitedTimes(1))
    };
    let node = &mut proxy.running_nodes[0];
    let request = match fault {
        Fault::RequestLost => Some(RequestReaction::drop_frame()),
        Fault::RequestLate => Some(RequestReaction::delay(LATE)),
        Fault::ResponseLost | Fault::ResponseLate | Fault::ConnectionLost => None,
    };
    let response = match fault {
        Fault::ResponseLost => Some(ResponseReaction::drop_frame()),
        Fault::ResponseLate => Some(ResponseReaction::delay(LATE)),
        Fault::ConnectionLost => Some(ResponseReaction::drop_connection()),
        Fault::RequestLost | Fault::RequestLate => None,
    };
    let is_request = Condition::RequestOpcode(RequestOpcode::Execute)
        .or(Condition::RequestOpcode(RequestOpcode::Batch));
    let is_response = Condition::ResponseOpcode(ResponseOpcode::Result)
        .or(Condition::ResponseOpcode(ResponseOpcode::Error));
    node.change_request_rules(
        request.map(|reaction| vec![RequestRule(at_step(is_request), reaction)]),
    );
    node.change_response_rules(
        response.map(|reaction| vec![ResponseRule(at_step(is_response), reaction)]),
    );
}
