//! The host's say: on commands, reads, watches and joins, before the rules of chat.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_core::memory::MemoryStore;
use chat_core::ports::{Authorizer, Operation, PortError, Retry, Verdict};
use chat_core::proto::channel::Action;
use chat_core::proto::entry::{MemberRole, MembersChange};
use chat_core::proto::people::{Prefs, PrefsChange, RelationChange};
use chat_core::proto::wire::{
    Anchor, Answer, ClientOp, EditMessage, HistoryQuery, Mark, PullQuery, Push, ReceiptsQuery,
    ServerFrame, SyncQuery, Watch, WatchAnswer,
};
use chat_core::proto::{Body, ChannelId, ClientId, Code, DeviceId, Rejection, Role, Seq, UserId};
use chat_core::{Caller, Draft, Engine, NewChannel, Outgoing, Session};
use uuid::Uuid;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rules that each test breaks one of.
#[derive(Clone, Default)]
struct House {
    closed: Arc<Mutex<BTreeSet<ChannelId>>>,
}

#[async_trait]
impl Authorizer for House {
    async fn authorize(
        &self,
        user: &UserId,
        operation: Operation<'_>,
    ) -> std::result::Result<Verdict, PortError> {
        match user.as_str() {
            "unlucky" => return Err(PortError::unavailable("house.rules", Retry::Safe)),
            "patient" => pending().await,
            _ => {}
        }
        Ok(match operation {
            Operation::Command { action, .. } => judge(action),
            Operation::Read { channel } if self.is_closed(channel) => deny("closed for now"),
            Operation::Watch { contact } if contact.as_str().starts_with("shy") => {
                deny("leave them")
            }
            _ => Verdict::Allow,
        })
    }
}

impl House {
    fn is_closed(&self, channel: ChannelId) -> bool {
        self.closed
            .lock()
            .expect("no test panics here")
            .contains(&channel)
    }

    fn close(&self, channel: ChannelId) {
        self.closed
            .lock()
            .expect("no test panics here")
            .insert(channel);
    }
}

fn judge(action: &Action) -> Verdict {
    let joining: Vec<&UserId> = match action {
        Action::Create(channel) => channel.members.iter().collect(),
        Action::Members(change) => change.add.iter().map(|added| &added.user).collect(),
        Action::Send(message) => return judge_body(&message.body),
        Action::Edit(edit) => return judge_body(&edit.body),
        _ => Vec::new(),
    };
    if joining.iter().any(|user| user.as_str() == "banned") {
        return deny("they are banned");
    }
    Verdict::Allow
}

fn judge_body(body: &Body) -> Verdict {
    match body {
        Body::Text { text, .. } if text.contains("http") => deny("no links"),
        Body::Text { text, .. } if text.contains("darn") => {
            Verdict::ReplaceBody(Body::text(text.replace("darn", "****")))
        }
        _ => Verdict::Allow,
    }
}

fn deny(why: &'static str) -> Verdict {
    Verdict::Deny(Rejection::forbidden(why))
}

fn engine() -> (House, MemoryStore, Engine) {
    let (house, store) = (House::default(), MemoryStore::new());
    let engine = Engine::builder()
        .messages(store.clone())
        .users(store.clone())
        .authorizer(house.clone())
        .build()
        .expect("all parts are there");
    (house, store, engine)
}

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn forbidden<T>(outcome: std::result::Result<T, Rejection>) -> Option<String> {
    let rejection = outcome
        .err()
        .filter(|rejection| rejection.code == Code::Forbidden)?;
    Some(rejection.message.into_owned())
}

async fn texts(engine: &Engine, caller: &Caller, channel: ChannelId) -> Result<Vec<String>> {
    let query = HistoryQuery {
        channel,
        anchor: Anchor::Newest,
        limit: None,
    };
    let Answer::History(page) = engine.run(caller, ClientOp::History(query)).await? else {
        return Err("a history was asked for".into());
    };
    let bodies = page.messages.into_iter().filter_map(|message| {
        match message.entry.as_message()?.body.clone()? {
            Body::Text { text, .. } => Some(text),
            _ => None,
        }
    });
    Ok(bodies.collect())
}

#[tokio::test]
async fn a_denied_command_is_refused_in_the_hosts_words_and_stored_nowhere() -> Result {
    let (_, _, engine) = engine();
    let (alice, bob) = (user("alice"), user("bob"));
    let channel = engine
        .send(&alice, Draft::direct(&bob, "hello"))
        .await?
        .channel;
    let link = Draft::direct(&bob, "http://example.com");
    assert_eq!(
        forbidden(engine.send(&alice, link).await).as_deref(),
        Some("no links")
    );
    assert_eq!(
        texts(&engine, &Caller::user(alice), channel).await?,
        ["hello"]
    );
    Ok(())
}

#[tokio::test]
async fn a_replaced_body_is_stored_and_a_retry_of_the_sent_one_finds_it() -> Result {
    let (_, _, engine) = engine();
    let (alice, bob) = (user("alice"), user("bob"));
    let draft = Draft::direct(&bob, "darn it");
    let first = engine.send(&alice, draft.clone()).await?;
    let again = engine.send(&alice, draft).await?;
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    assert_eq!(
        texts(&engine, &Caller::user(bob), first.channel).await?,
        ["**** it"]
    );
    Ok(())
}

#[tokio::test]
async fn an_edit_is_judged_like_a_message() -> Result {
    let (_, _, engine) = engine();
    let alice = Caller::user(user("alice"));
    let sent = engine
        .send(&alice.user, Draft::direct(&user("bob"), "hello"))
        .await?;
    let edit = |text: &str| {
        ClientOp::Edit(EditMessage {
            channel: sent.channel,
            seq: sent.seq,
            client_id: ClientId::from_uuid(Uuid::new_v4()),
            after: None,
            retry: false,
            body: Body::text(text),
        })
    };
    let link = engine.run(&alice, edit("http://example.com")).await;
    assert_eq!(forbidden(link).as_deref(), Some("no links"));
    engine.run(&alice, edit("darn it")).await?;
    assert_eq!(texts(&engine, &alice, sent.channel).await?, ["**** it"]);
    Ok(())
}

#[tokio::test]
async fn the_host_is_asked_before_anybody_joins() -> Result {
    let (_, _, engine) = engine();
    let alice = Caller::user(user("alice"));
    let with = NewChannel::group("club").members(vec![user("banned")]);
    assert!(forbidden(engine.create_channel(&alice, with).await).is_some());

    let channel = engine
        .create_channel(&alice, NewChannel::group("club"))
        .await?
        .channel;
    let add = |name: &str| MembersChange {
        add: vec![MemberRole {
            user: user(name),
            role: Role::Member,
        }],
        ..MembersChange::default()
    };
    let refused = engine
        .change_members(&alice, channel, None, add("banned"))
        .await;
    assert_eq!(forbidden(refused).as_deref(), Some("they are banned"));
    engine
        .change_members(&alice, channel, None, add("bob"))
        .await?;
    let members = engine.members(&alice, channel, None, None).await?.members;
    let names: Vec<&str> = members.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(names, ["alice", "bob"]);
    Ok(())
}

#[tokio::test]
async fn every_read_of_a_channel_is_asked_about() -> Result {
    let (house, _, engine) = engine();
    let alice = Caller::user(user("alice"));
    let open = engine
        .send(&alice.user, Draft::direct(&user("bob"), "open"))
        .await?
        .channel;
    let shut = engine
        .send(&alice.user, Draft::direct(&user("carol"), "shut"))
        .await?
        .channel;
    house.close(shut);

    let mark = Mark {
        channel: shut,
        seq: Seq(2),
    };
    let prefs = PrefsChange {
        channel: shut,
        prefs: Prefs {
            archived: Some(true),
            ..Prefs::default()
        },
    };
    let reads = [
        ClientOp::Pull(PullQuery {
            channel: shut,
            after: Seq(0),
            limit: None,
        }),
        ClientOp::History(HistoryQuery {
            channel: shut,
            anchor: Anchor::Newest,
            limit: None,
        }),
        ClientOp::Read(mark),
        ClientOp::Delivered(mark),
        ClientOp::Receipts(ReceiptsQuery { channel: shut }),
        ClientOp::Prefs(prefs),
    ];
    for read in reads {
        let name = format!("{read:?}");
        assert!(
            forbidden(engine.run(&alice, read).await).is_some(),
            "{name}"
        );
    }
    assert!(forbidden(engine.channel(&alice, shut).await).is_some());
    assert!(forbidden(engine.members(&alice, shut, None, None).await).is_some());

    // Listed neither as there nor as left; named by a cursor or not.
    for cursors in [vec![], vec![open, shut]] {
        let query = SyncQuery {
            cursors: cursors
                .into_iter()
                .map(|id| (id, (Seq(0), Seq(0))))
                .collect(),
            entries: 10,
            ..SyncQuery::default()
        };
        let Answer::Sync(answer) = engine.run(&alice, ClientOp::Sync(query)).await? else {
            return Err("a sync was asked for".into());
        };
        let listed: Vec<ChannelId> = answer
            .channels
            .iter()
            .map(|summary| summary.channel)
            .collect();
        assert_eq!((listed, answer.left), (vec![open], vec![]));
    }
    Ok(())
}

#[tokio::test]
async fn nobody_is_seen_typing_where_they_may_not_read() -> Result {
    let (house, _, engine) = engine();
    let alice = Caller::user(user("alice"));
    let mut channels = Vec::new();
    for title in ["shut", "open"] {
        let group = NewChannel::group(title).members(vec![user("bob")]);
        channels.push(engine.create_channel(&alice, group).await?.channel);
    }
    house.close(channels[0]);
    let device = DeviceId::from_uuid(Uuid::from_u128(2));
    let mut session = engine.connect(&user("bob"), device).await?;
    for channel in &channels {
        engine.typing(&alice, *channel).await;
    }
    let typing = loop {
        if let Outgoing::Shared(push) = session.next().await
            && let Push::Typing(push) = push.push()
        {
            break push.channel;
        }
    };
    assert_eq!(typing, channels[1]);
    Ok(())
}

#[tokio::test]
async fn a_denied_watch_is_refused_also_of_who_blocks_the_watcher() -> Result {
    let (_, _, engine) = engine();
    let alice = user("alice");
    for contact in ["bob", "shy-carol", "shy-dave"].map(user) {
        for (one, other) in [(&alice, &contact), (&contact, &alice)] {
            engine
                .relate(one, other, RelationChange::PutContact)
                .await?;
        }
    }
    engine
        .relate(&user("shy-dave"), &alice, RelationChange::Block)
        .await?;

    let device = DeviceId::from_uuid(Uuid::from_u128(1));
    let mut session = engine.connect(&alice, device).await?;
    session.submit(1, ClientOp::Watch(Watch::Contacts), 50);
    let answer = watch_answer(&mut session).await?;
    let seen: Vec<&str> = answer
        .presence
        .iter()
        .map(|seen| seen.user.as_str())
        .collect();
    assert_eq!(seen, ["bob"]);
    assert_eq!(answer.refused, ["shy-carol", "shy-dave"].map(user));
    Ok(())
}

async fn watch_answer(session: &mut Session) -> Result<WatchAnswer> {
    loop {
        if let Outgoing::Frame(frame) = session.next().await
            && let ServerFrame::Ok { answer, .. } = *frame
        {
            match answer {
                Answer::Watch(answer) => return Ok(answer),
                other => return Err(format!("a watch was asked for, not {other:?}").into()),
            }
        }
    }
}

#[tokio::test]
async fn the_host_is_not_asked_about_itself() -> Result {
    let (house, _, engine) = engine();
    let system = engine.as_system();
    let channel = NewChannel::group("notices").members(vec![user("banned")]);
    let channel = system.create_channel(channel).await?.channel;
    system
        .send(Draft::channel(channel, "see http://example.com"))
        .await?;
    house.close(channel);
    let caller = Caller::system(system.user().clone());
    assert_eq!(texts(&engine, &caller, channel).await?.len(), 1);
    let member = Caller::user(user("banned"));
    assert!(forbidden(engine.channel(&member, channel).await).is_some());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_or_hangs_refuses_as_unavailable() -> Result {
    let (_, _, engine) = engine();
    for name in ["unlucky", "patient"] {
        let draft = Draft::direct(&user("bob"), "hello");
        let sent = engine.send(&user(name), draft).await;
        assert_eq!(
            sent.err().map(|rejection| rejection.code),
            Some(Code::Unavailable),
            "{name}"
        );
        let read = engine
            .channel(&Caller::user(user(name)), ChannelId::external("x"))
            .await;
        assert_eq!(
            read.err().map(|rejection| rejection.code),
            Some(Code::Unavailable),
            "{name}"
        );
    }
    // Nobody waits for a host who hangs, not even the end.
    engine.shutdown().await;
    Ok(())
}
