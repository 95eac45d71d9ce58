//! One channel on its way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::wire::PullAnswer;
use chat_proto::{ChannelId, ClientId, Entry, Head, History, Seq, UserId};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::check::{self, Checked};
use super::fleet::{Device, Fleet};
use super::outcome::{Count, Counts};
use super::plan::{Change, Plan, Round};
use super::speech::{Spoken, Stage};
use crate::error::Error;
use crate::http::{HttpClient, Request};

/// Users of one channel whose devices connect at a time.
const ACQUIRE_MAX: usize = 16;
/// Entries of one page.
const PAGE_ENTRIES: usize = 500;
/// How long the last device may take to come to the end of the log.
const CATCH_UP_MAX: Duration = Duration::from_secs(120);
/// How often it is looked whether it has.
const CATCH_UP_LOOK: Duration = Duration::from_millis(20);

/// What all channels of a run share.
pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) fleet: Fleet,
    pub(crate) counts: Arc<Counts>,
    /// Whether messages must stand in the order of their lines.
    pub(crate) is_ordered: bool,
}

/// A change of membership that the server said was done.
pub(crate) struct Changed {
    pub(crate) seq: Seq,
    pub(crate) change: Change,
}

/// The channel as it goes.
struct Room<'a> {
    plan: &'a Plan,
    scene: &'a Scene,
    stage: Stage,
    http: HttpClient,
    owner: UserId,
    visible_from: BTreeMap<UserId, Seq>,
    spoken: Vec<Spoken>,
    changed: Vec<Changed>,
}

/// Replays one channel and checks it.
pub(crate) async fn replay(scene: &Scene, plan: &Plan) -> Result<Checked, Error> {
    let devices = acquire(scene, plan).await?;
    for device in &devices {
        device.notes.begin(plan.channel);
    }
    let stage = Stage::new(plan.channel, scene.address, devices, scene.counts.clone());
    let mut room = Room {
        plan,
        scene,
        stage,
        http: HttpClient::new(scene.address),
        owner: plan.creator.clone(),
        visible_from: BTreeMap::new(),
        spoken: Vec::new(),
        changed: Vec::new(),
    };
    room.create().await?;
    for round in &plan.rounds {
        room.play(round).await?;
    }
    let checked = room.check().await?;
    for user in &plan.people {
        scene.fleet.release(user).await?;
    }
    Ok(checked)
}

/// The whole log as the server has it, asked for by somebody who sees all of it.
pub(crate) async fn server_log(
    address: SocketAddr,
    channel: ChannelId,
    token: &str,
) -> Result<Vec<Entry>, Error> {
    let mut http = HttpClient::new(address);
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Seq(0), |entry| entry.seq);
        let path = format!("/v1/channels/{channel}/entries?after={after}&limit={PAGE_ENTRIES}");
        let request = Request {
            method: "GET",
            path: &path,
            token: Some(token),
            body: &[],
        };
        let answer = http.persist(&request).await?.0.done("reading a log")?;
        let page: PullAnswer = serde_json::from_value(answer)
            .map_err(|error| Error::Invalid(format!("no page of entries at {path}: {error}")))?;
        let is_last = page.entries.is_empty()
            || page
                .entries
                .last()
                .is_some_and(|last| last.seq >= page.head.seq);
        entries.extend(page.entries);
        if is_last {
            return Ok(entries);
        }
    }
}

async fn acquire(scene: &Scene, plan: &Plan) -> Result<Vec<Arc<Device>>, Error> {
    let of_users: Vec<Vec<Arc<Device>>> = stream::iter(plan.people.iter().cloned())
        .map(|user| async move { scene.fleet.acquire(&user).await })
        .buffered(ACQUIRE_MAX)
        .try_collect()
        .await?;
    Ok(of_users.into_iter().flatten().collect())
}

impl Room<'_> {
    async fn create(&mut self) -> Result<(), Error> {
        let history = match self.plan.history {
            History::All => "all",
            History::Joined => "joined",
        };
        let body = json!({
            "client_id": self.plan.create_id,
            "title": self.plan.title,
            "members": [self.plan.host],
            "history": history,
        });
        let token = self.scene.fleet.token(&self.plan.creator);
        let answer = self
            .post("/v1/channels", &token, &body, "creating a channel")
            .await?;
        if answer["channel"] != json!(self.plan.channel) {
            return Err(Error::Invalid(format!(
                "{} was created as {answer}",
                self.plan.channel
            )));
        }
        self.visible_from.insert(self.plan.creator.clone(), Seq(1));
        Ok(())
    }

    async fn play(&mut self, round: &Round) -> Result<(), Error> {
        for change in &round.before {
            self.change(change).await?;
        }
        let stage = &self.stage;
        let visible_from = |user: &UserId| self.visible_from.get(user).copied().unwrap_or(Seq(1));
        let speakers = round
            .says
            .iter()
            .filter_map(|says| Some((says, visible_from(&says.first()?.from))));
        let speaking =
            speakers.map(|(says, visible_from)| Box::pin(stage.speak(says, visible_from)));
        for spoken in try_join_all(speaking).await? {
            self.spoken.extend(spoken);
        }
        for change in &round.after {
            self.change(change).await?;
        }
        Ok(())
    }

    async fn change(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::Add(users) => self.add(users, change).await,
            Change::Leave(user) => self.leave(user, change).await,
        }
    }

    async fn add(&mut self, users: &[UserId], change: &Change) -> Result<(), Error> {
        let add: Vec<Value> = users.iter().map(|user| json!({ "user": user })).collect();
        let body = json!({ "client_id": ClientId::from_uuid(Uuid::new_v4()), "add": add });
        let path = format!("/v1/channels/{}/members", self.plan.channel);
        let token = self.scene.fleet.token(&self.owner);
        let answer = self.post(&path, &token, &body, "adding members").await?;
        let seq = answer["seq"].as_u64().map(Seq);
        let seq = seq
            .ok_or_else(|| Error::Invalid(format!("adding members was answered with {answer}")))?;
        for user in users {
            let visible_from = match self.plan.history {
                History::All => Seq(1),
                History::Joined => seq,
            };
            self.visible_from.insert(user.clone(), visible_from);
        }
        self.note_change(seq, change, users.len());
        Ok(())
    }

    /// Somebody goes by themselves. The channel's host, who is in it longest, takes over from an owner.
    async fn leave(&mut self, user: &UserId, change: &Change) -> Result<(), Error> {
        let path = format!("/v1/channels/{}/members/{user}", self.plan.channel);
        let token = self.scene.fleet.token(user);
        let request = Request {
            method: "DELETE",
            path: &path,
            token: Some(&token),
            body: &[],
        };
        let (reply, again) = self.http.persist(&request).await?;
        // After an attempt without an answer, who has left may not know the channel any more.
        if !(again && matches!(reply.status, 403 | 404)) {
            let answer = reply.done("leaving")?;
            if let Some(seq) = answer["seq"].as_u64()
                && answer["duplicate"] != json!(true)
            {
                self.note_change(Seq(seq), change, 1);
            }
        }
        if *user == self.owner {
            self.owner = self.plan.host.clone();
        }
        Ok(())
    }

    fn note_change(&mut self, seq: Seq, change: &Change, users: usize) {
        self.scene.counts.add(Count::MembersChanges);
        self.scene
            .counts
            .add_many(Count::MembersMoved, users as u64);
        self.changed.push(Changed {
            seq,
            change: change.clone(),
        });
    }

    async fn post(
        &mut self,
        path: &str,
        token: &str,
        body: &Value,
        what: &str,
    ) -> Result<Value, Error> {
        let body = serde_json::to_vec(body).expect("a JSON value can be written");
        let request = Request {
            method: "POST",
            path,
            token: Some(token),
            body: &body,
        };
        self.http.persist(&request).await?.0.done(what)
    }

    /// Waits until every device of a member has come to the end, then compares.
    async fn check(mut self) -> Result<Checked, Error> {
        let token = self.scene.fleet.token(&self.plan.host);
        let log = server_log(self.scene.address, self.plan.channel, &token).await?;
        let head = log.last().map_or(Head::EMPTY, Entry::head);
        self.wait_for_devices(head.seq).await?;
        if self.scene.is_ordered {
            self.spoken.sort_by_key(|spoken| spoken.line);
        }
        let devices = self.stage.devices.iter().map(|device| check::DeviceNotes {
            user: device.user.clone(),
            device: device.id,
            sightings: device.notes.take(self.plan.channel),
        });
        let seen = check::Observed {
            plan: self.plan,
            log: &log,
            spoken: &self.spoken,
            changed: &self.changed,
            devices: devices.collect(),
            is_ordered: self.scene.is_ordered,
        };
        Ok(seen.check())
    }

    async fn wait_for_devices(&self, head: Seq) -> Result<(), Error> {
        let deadline = Instant::now() + CATCH_UP_MAX;
        let is_behind = |device: &&Arc<Device>| {
            self.plan.members_at_end.contains(&device.user)
                && device.notes.last(self.plan.channel) != Some(head)
        };
        // What is still behind at the deadline is for the checker to name.
        while self.stage.devices.iter().any(|device| is_behind(&device))
            && Instant::now() < deadline
        {
            sleep(CATCH_UP_LOOK).await;
        }
        for device in &self.stage.devices {
            if let Some(why) = device.notes.ended() {
                return Err(Error::Invalid(format!(
                    "a device of {} was sent away for good: {why}",
                    device.user
                )));
            }
        }
        Ok(())
    }
}
