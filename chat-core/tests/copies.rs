//! Inboxes that the engine must tell what was appended, and the marks by which another node finishes what a dead one began:
//! every row of the table in `engine/copies.rs`, over stores of both kinds.

use std::sync::Arc;
use std::time::Duration;

use chat_core::memory::{MemoryRouter, MemoryStore};
use chat_core::ports::{FanOutMark, InboxRow, InboxStore, MessageStore as _, Router};
use chat_core::proto::wire::{Answer, ClientOp, DeleteMessage, Push, ServerFrame, SyncQuery};
use chat_core::proto::{
    ChannelId, ClientId, Code, DeviceId, History, NodeId, Rejection, Seq, Timestamp, UserId,
};
use chat_core::{Caller, Draft, Engine, NewChannel, Outgoing, Session};
use chat_testkit::engine::RuntimeClock;

mod script;

use script::{Script, Step};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The lease of a node that is gone has ended, and another has looked.
const TAKEN: Duration = Duration::from_secs(10);
/// A mark is not kept longer than this after its channel fell silent.
const DROPPED: Duration = Duration::from_secs(40);
/// More than a node does in the longest wait of a test.
const ALWAYS: [Step; 1_000] = [Step::Fail; 1_000];

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

/// Engines over one store and one router, each with a script of its own.
struct Fleet {
    store: MemoryStore,
    router: Arc<dyn Router>,
    /// Leases end by this one.
    clock: RuntimeClock,
}

struct Node {
    engine: Engine,
    script: Script,
}

impl Fleet {
    fn over(store: MemoryStore) -> Self {
        Self {
            store,
            router: Arc::new(MemoryRouter::new()),
            clock: RuntimeClock::start(),
        }
    }

    /// Stores whose rows follow the logs, and stores that must be told.
    fn each() -> [Self; 2] {
        [MemoryStore::new(), MemoryStore::key_value()].map(Self::over)
    }

    fn node(&self, name: &str) -> Node {
        let script = Script::default();
        let engine = Engine::builder()
            .stores(script.store(&self.store), script.inbox(&self.store))
            .router(script.router(&self.router))
            .clock(self.clock)
            .node(NodeId::new(name.to_owned()))
            .build()
            .expect("all parts are there, in a runtime");
        Node { engine, script }
    }

    /// All marks that are kept.
    async fn marks(&self) -> Result<Vec<FanOutMark>> {
        let far = Timestamp(u64::MAX >> 1);
        Ok(self.store.orphaned_fan_out_marks(far, 100).await?)
    }

    async fn row(&self, name: &str, channel: ChannelId) -> Result<InboxRow> {
        let rows = self.store.rows(&user(name), &[channel]).await?;
        let [row] = <[InboxRow; 1]>::try_from(rows).map_err(|rows| format!("{rows:?}"))?;
        Ok(row)
    }

    /// Whether the row of a member shows what the log holds.
    async fn is_told(&self, name: &str, channel: ChannelId) -> Result<bool> {
        let head = self.store.heads(&[channel]).await?[0];
        let row = self.row(name, channel).await?;
        Ok(row.head == head && row.last.map(|last| last.seq) == Some(head.seq))
    }
}

impl Node {
    /// A group of ann, who owns it, and bob, of which everything is told and no mark is kept.
    async fn room(&self) -> Result<ChannelId> {
        let group = NewChannel::group("room")
            .members(vec![user("bob")])
            .history(History::All);
        let ann = Caller::user(user("ann"));
        let channel = self.engine.create_channel(&ann, group).await?.channel;
        self.say(channel, "first").await?;
        tokio::time::sleep(DROPPED).await;
        Ok(channel)
    }

    async fn say(&self, channel: ChannelId, text: &str) -> std::result::Result<Seq, Rejection> {
        let draft = Draft::channel(channel, text);
        Ok(self.engine.send(&user("ann"), draft).await?.seq)
    }

    async fn delete(
        &self,
        channel: ChannelId,
        seq: Seq,
        client_id: ClientId,
    ) -> std::result::Result<Answer, Rejection> {
        let delete = DeleteMessage {
            channel,
            seq,
            client_id,
            after: None,
            retry: false,
        };
        let ann = Caller::user(user("ann"));
        self.engine.run(&ann, ClientOp::Delete(delete)).await
    }

    /// The node is gone from one moment to the next.
    fn kill(&self) {
        self.script.kill();
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_mark_nothing_is_appended() -> Result {
    for step in [Step::Fail, Step::LoseAnswer] {
        for fleet in Fleet::each() {
            let node = fleet.node("one");
            let channel = node.room().await?;
            node.script.plan("inbox.keep_fan_out_marks", &[step]);
            let refused = node.say(channel, "second").await;
            assert_eq!(refused.expect_err("no mark").code, Code::Unavailable);
            assert_eq!(fleet.store.heads(&[channel]).await?[0].seq, Seq(2));
            assert_eq!(node.say(channel, "second").await?, Seq(3));
            node.engine.shutdown().await;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_mark_without_an_append_is_taken_and_dropped() -> Result {
    for fleet in Fleet::each() {
        let node = fleet.node("one");
        let channel = node.room().await?;
        node.script.plan("messages.append", &[Step::Fail]);
        let refused = node.say(channel, "second").await;
        assert_eq!(refused.expect_err("no append").code, Code::Unavailable);
        node.kill();
        assert_eq!(fleet.marks().await?.len(), 1);
        let other = fleet.node("other");
        tokio::time::sleep(TAKEN).await;
        assert_eq!(fleet.marks().await?, []);
        assert!(fleet.is_told("bob", channel).await?);
        other.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_node_did_not_tell_another_tells_within_ten_seconds() -> Result {
    for fleet in Fleet::each() {
        let (node, other) = (fleet.node("one"), fleet.node("other"));
        let channel = node.room().await?;
        let mut bob = connect(&other.engine, "bob").await?;
        // Stored and acknowledged; then it dies with everything else to do.
        node.script.plan("inbox.fan_out", &ALWAYS);
        node.script.plan("router.locate", &ALWAYS);
        let said = node.say(channel, "second").await?;
        node.kill();
        if !InboxStore::capabilities(&fleet.store).derives_rows {
            assert!(!fleet.is_told("bob", channel).await?);
        }
        tokio::time::sleep(TAKEN).await;
        assert!(fleet.is_told("bob", channel).await?);
        assert!(hears(&mut bob, channel).await >= said);
        assert_eq!(fleet.marks().await?, []);
        other.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_inbox_store_that_refuses_is_told_again() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let node = fleet.node("one");
    let channel = node.room().await?;
    node.script.plan("inbox.fan_out", &[Step::Fail, Step::Fail]);
    node.say(channel, "second").await?;
    assert!(!fleet.is_told("bob", channel).await?);
    tokio::time::sleep(TAKEN).await;
    assert!(fleet.is_told("bob", channel).await?);
    node.engine.shutdown().await;
    Ok(())
}

/// A replay that has read the log to its end knows nothing of what is left to copy from then on.
#[tokio::test(start_paused = true)]
async fn what_fails_while_a_replay_ends_is_told_by_the_next_one() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let node = fleet.node("one");
    let channel = node.room().await?;
    node.script.plan("inbox.fan_out", &[Step::Fail]);
    node.say(channel, "second").await?;
    let read_the_end = [Step::Pass, Step::AnswerLate];
    node.script.plan("messages.entries", &read_the_end);
    tokio::time::sleep(TAKEN).await;
    assert!(
        fleet.is_told("bob", channel).await?,
        "the replay has come to the end"
    );
    node.script.plan("inbox.fan_out", &[Step::Fail]);
    node.say(channel, "third").await?;
    node.script.let_on();
    tokio::time::sleep(TAKEN).await;
    assert!(fleet.is_told("bob", channel).await?);
    node.engine.shutdown().await;
    Ok(())
}

/// The inboxes of one channel cannot be told, those of others are.
#[tokio::test(start_paused = true)]
async fn one_channel_that_fails_does_not_hold_up_the_others() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let (node, other) = (fleet.node("one"), fleet.node("other"));
    let channels = [node.room().await?, node.room().await?];
    node.script.plan("inbox.fan_out", &ALWAYS);
    for channel in channels {
        node.say(channel, "second").await?;
    }
    node.kill();
    // Whichever comes first fails in the first look, and in no other.
    other.script.plan("messages.load", &[Step::Fail]);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let mut told = 0;
    for channel in channels {
        told += usize::from(fleet.is_told("bob", channel).await?);
    }
    assert!(told >= 1, "one of the two is taken in the same look");
    tokio::time::sleep(TAKEN).await;
    for channel in channels {
        assert!(fleet.is_told("bob", channel).await?);
    }
    other.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_answer_nobody_got_is_copied_all_the_same() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let node = fleet.node("one");
    let channel = node.room().await?;
    node.script
        .plan("messages.append", &[Step::LoseAnswer, Step::Fail]);
    let unsure = node.say(channel, "second").await;
    assert_eq!(unsure.expect_err("no answer").code, Code::UnknownOutcome);
    tokio::time::sleep(TAKEN).await;
    assert!(fleet.is_told("bob", channel).await?);
    node.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_burst_costs_one_mark_which_goes_with_it() -> Result {
    for fleet in Fleet::each() {
        let node = fleet.node("one");
        let channel = node.room().await?;
        let before = node.script.calls("inbox.keep_fan_out_marks");
        for _ in 0..10 {
            node.say(channel, "again").await?;
        }
        assert_eq!(node.script.calls("inbox.keep_fan_out_marks"), before + 1);
        assert_eq!(fleet.marks().await?.len(), 1);
        tokio::time::sleep(DROPPED).await;
        assert_eq!(fleet.marks().await?, []);
        node.say(channel, "much later").await?;
        assert_eq!(node.script.calls("inbox.keep_fan_out_marks"), before + 2);
        node.engine.shutdown().await;
        assert_eq!(fleet.marks().await?, [], "who leaves has told everything");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_node_that_slept_keeps_its_marks_anew() -> Result {
    for fleet in Fleet::each() {
        let (node, other) = (fleet.node("one"), fleet.node("other"));
        let channel = node.room().await?;
        node.say(channel, "before").await?;
        let before = node.script.calls("inbox.keep_fan_out_marks");
        node.script.plan("inbox.renew_lease", &[Step::Fail; 5]);
        tokio::time::sleep(TAKEN).await;
        assert_eq!(fleet.marks().await?, [], "taken from who seemed dead");
        node.say(channel, "after").await?;
        assert_eq!(node.script.calls("inbox.keep_fan_out_marks"), before + 1);
        assert_eq!(fleet.marks().await?.len(), 1);
        node.engine.shutdown().await;
        other.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_mark_stays_until_somebody_has_finished() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let (node, other) = (fleet.node("one"), fleet.node("other"));
    let channel = node.room().await?;
    node.script.plan("inbox.fan_out", &ALWAYS);
    node.say(channel, "second").await?;
    node.kill();
    // The first who takes it dies as well, half-way; two more take it together.
    other.script.plan("inbox.drop_fan_out_marks", &ALWAYS);
    tokio::time::sleep(TAKEN).await;
    other.kill();
    assert_eq!(fleet.marks().await?.len(), 1);
    let third = fleet.node("third");
    let fourth = fleet.node("fourth");
    tokio::time::sleep(TAKEN).await;
    assert_eq!(fleet.marks().await?, []);
    assert!(fleet.is_told("bob", channel).await?);
    assert_eq!(fleet.row("bob", channel).await?.mentions, 0);
    third.engine.shutdown().await;
    fourth.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_erasure_is_not_answered_before_its_copies_are_gone() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let node = fleet.node("one");
    let channel = node.room().await?;
    let client_id = ClientId::from_uuid(uuid::Uuid::from_u128(7));
    node.script.plan("inbox.fan_out", &[Step::Fail, Step::Fail]);
    for _ in 0..2 {
        let unsure = node.delete(channel, Seq(2), client_id).await;
        let unsure = unsure.expect_err("a copy is still there");
        assert_eq!(unsure.code, Code::UnknownOutcome);
    }
    node.delete(channel, Seq(2), client_id).await?;
    let row = fleet.row("bob", channel).await?;
    let last = row.last.expect("the erased message");
    let message = last.as_message().expect("a message");
    assert!(message.erased && message.body.is_none());
    node.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_note_of_a_body_erases_its_copies() -> Result {
    let fleet = Fleet::over(MemoryStore::key_value());
    let (node, other) = (fleet.node("one"), fleet.node("other"));
    let channel = node.room().await?;
    let client_id = ClientId::from_uuid(uuid::Uuid::from_u128(7));
    node.script.plan("messages.set_body", &ALWAYS);
    let unsure = node.delete(channel, Seq(2), client_id).await;
    assert_eq!(unsure.expect_err("not erased").code, Code::UnknownOutcome);
    node.kill();
    tokio::time::sleep(TAKEN * 2).await;
    let row = fleet.row("bob", channel).await?;
    let last = row.last.expect("the erased message");
    assert!(last.as_message().is_some_and(|message| message.erased));
    other.engine.shutdown().await;
    Ok(())
}

/// Up to a hundred members each has a row; above, the log is asked; and back.
#[tokio::test(start_paused = true)]
async fn rows_are_right_on_both_sides_of_the_crossing() -> Result {
    use chat_core::proto::entry::{MemberRole, MembersChange};
    let fleet = Fleet::over(MemoryStore::key_value());
    let node = fleet.node("one");
    let channel = node.room().await?;
    let crowd: Vec<UserId> = (0..120).map(|number| user(&format!("m{number}"))).collect();
    let ann = Caller::user(user("ann"));
    let change = |add: &[UserId], remove: &[UserId]| MembersChange {
        add: add
            .iter()
            .map(|user| MemberRole {
                user: user.clone(),
                role: chat_core::proto::Role::Member,
            })
            .collect(),
        remove: remove.to_vec(),
        ..MembersChange::default()
    };
    let mut counts = Vec::new();
    for (add, remove, member) in [
        (&crowd[..60], &crowd[..0], "m59"),
        (&crowd[60..], &crowd[..0], "m119"),
        (&crowd[..0], &crowd[..50], "m119"),
    ] {
        let change = change(add, remove);
        node.engine
            .change_members(&ann, channel, None, change)
            .await?;
        for number in 0..3 {
            node.say(channel, &format!("text {number}")).await?;
            assert!(fleet.is_told("bob", channel).await?);
            assert!(fleet.is_told(member, channel).await?);
        }
        let large = fleet.store.large_channels(&user("bob")).await?;
        counts.push((fleet.row("bob", channel).await?.member_count, large.len()));
    }
    assert_eq!(counts, [(62, 0), (122, 1), (72, 0)]);
    assert_eq!(fleet.store.rows(&user("m0"), &[channel]).await?, []);
    let left = fleet.store.left(&user("m0"), Timestamp(0), 10).await?;
    assert_eq!(left.len(), 1);
    node.engine.shutdown().await;
    Ok(())
}

/// Removed and added again, and then so many come that their rows are told of in parts.
#[tokio::test]
async fn who_came_back_is_not_taken_for_gone_in_any_part() -> Result {
    use chat_core::inboxes::Copier;
    use chat_core::ports::MessageStore;
    use chat_core::proto::Role;
    use chat_testkit::LogWriter;
    use chat_testkit::names::{fresh_user, fresh_users};
    let store = Arc::new(MemoryStore::key_value());
    let messages: Arc<dyn MessageStore> = store.clone();
    let (owner, first) = (fresh_user("owner"), [fresh_user("a")]);
    let mut writer = LogWriter::group(&messages, &owner, &first).await;
    writer.remove(&owner, &first).await;
    writer.add(&owner, &first, Role::Member).await;
    for crowd in fresh_users("crowd", 700).chunks(100) {
        writer.add(&owner, crowd, Role::Member).await;
    }
    let copier = Copier::new(messages, store.clone(), 1_024);
    copier.replay(writer.channel(), Seq(0)).await?;
    let rows = store.rows(&first[0], &[writer.channel()]).await?;
    assert_eq!(rows.len(), 1, "a member has a row");
    assert_eq!(store.left(&first[0], Timestamp(0), 10).await?, []);
    Ok(())
}

async fn connect(engine: &Engine, name: &str) -> Result<Session> {
    let device = DeviceId::from_uuid(uuid::Uuid::new_v4());
    let mut session = engine.connect(&user(name), device).await?;
    session.submit(1, ClientOp::Sync(SyncQuery::default()), 10);
    Ok(session)
}

/// How far the session was told that the channel goes, by hints.
async fn hears(session: &mut Session, channel: ChannelId) -> Seq {
    let mut heard = Seq(0);
    let of_push = |push: &Push| match push {
        Push::Entry(push) if push.channel == channel => push.entry.seq,
        Push::Heads(heads) => {
            let told = heads.channels.iter().filter(|told| told.channel == channel);
            told.map(|told| told.head.seq).max().unwrap_or_default()
        }
        _ => Seq(0),
    };
    while let Ok(outgoing) = tokio::time::timeout(Duration::from_secs(1), session.next()).await {
        let seq = match outgoing {
            Outgoing::Shared(push) => of_push(push.push()),
            Outgoing::Frame(frame) => match *frame {
                ServerFrame::Push(push) => of_push(&push),
                ServerFrame::Ok { .. } | ServerFrame::Error { .. } | ServerFrame::Pong => Seq(0),
            },
            Outgoing::Close(close) => panic!("nothing closes it: {close:?}"),
        };
        heard = heard.max(seq);
    }
    heard
}
