//! Edits, deletions, reactions and pins over in-memory stores: of the kind whose appends set bodies, and of the kind where
//! the engine must.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_core::decorators::{Decorated, Layer};
use chat_core::memory::MemoryStore;
use chat_core::ports::{MessageStore, PortError, Retry};
use chat_core::proto::channel::Annotations;
use chat_core::proto::entry::{MemberRole, MembersChange, Message};
use chat_core::proto::wire::{
    Anchor, Answer, ChangeAnswer, ClientOp, DeleteMessage, EditMessage, HistoryAnswer,
    HistoryQuery, Pin, PullQuery, Push, React,
};
use chat_core::proto::{
    Body, ChannelId, ClientId, Code, DeviceId, Entry, EntryKind, History, Limits, Rejection, Role,
    Seq, UserId,
};
use chat_core::{Caller, Draft, Engine, NewChannel, Outgoing, Session};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Longer than the engine leaves notes alone.
const A_LOOK: Duration = Duration::from_secs(30);

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn caller(name: &str) -> Caller {
    Caller::user(user(name))
}

fn client_id(number: u128) -> ClientId {
    ClientId::from_uuid(uuid::Uuid::from_u128(number))
}

fn fresh() -> ClientId {
    ClientId::from_uuid(uuid::Uuid::new_v4())
}

/// A group of ann, who owns it, and others, with one message of ann's at seq 2.
struct Room {
    engine: Engine,
    channel: ChannelId,
}

impl Room {
    async fn over(messages: Arc<dyn MessageStore>, store: &MemoryStore) -> Result<Self> {
        let engine = engine_over(messages, store);
        let group = NewChannel::group("room")
            .members(vec![user("bob"), user("cat")])
            .history(History::Joined);
        let channel = engine.create_channel(&caller("ann"), group).await?.channel;
        let room = Self { engine, channel };
        room.say("ann", "first").await?;
        Ok(room)
    }

    async fn each() -> Result<[Self; 2]> {
        let (sql, key_value) = (MemoryStore::new(), MemoryStore::key_value());
        Ok([
            Self::over(Arc::new(sql.clone()), &sql).await?,
            Self::over(Arc::new(key_value.clone()), &key_value).await?,
        ])
    }

    async fn say(&self, from: &str, text: &str) -> Result<Seq> {
        let draft = Draft::channel(self.channel, text);
        Ok(self.engine.send(&user(from), draft).await?.seq)
    }

    async fn add(&self, users: impl IntoIterator<Item = String>) -> Result {
        let member = |name: String| MemberRole {
            user: user(&name),
            role: Role::Member,
        };
        let change = MembersChange {
            add: users.into_iter().map(member).collect(),
            ..MembersChange::default()
        };
        let owner = caller("ann");
        self.engine
            .change_members(&owner, self.channel, None, change)
            .await?;
        Ok(())
    }

    fn edit(&self, seq: u64, text: &str, client_id: ClientId) -> ClientOp {
        ClientOp::Edit(EditMessage {
            channel: self.channel,
            seq: Seq(seq),
            client_id,
            after: None,
            retry: false,
            body: Body::text(text),
        })
    }

    fn delete(&self, seq: u64, client_id: ClientId) -> ClientOp {
        ClientOp::Delete(DeleteMessage {
            channel: self.channel,
            seq: Seq(seq),
            client_id,
            after: None,
            retry: false,
        })
    }

    fn react(&self, seq: u64, emoji: &str, remove: bool) -> ClientOp {
        ClientOp::React(React {
            channel: self.channel,
            seq: Seq(seq),
            client_id: fresh(),
            after: None,
            retry: false,
            emoji: emoji.to_owned(),
            remove,
        })
    }

    fn pin(&self, seq: u64) -> ClientOp {
        ClientOp::Pin(Pin {
            channel: self.channel,
            seq: Seq(seq),
            client_id: fresh(),
            after: None,
            retry: false,
            remove: false,
        })
    }

    async fn act(&self, from: &str, op: ClientOp) -> std::result::Result<ChangeAnswer, Rejection> {
        match self.engine.run(&caller(from), op).await? {
            Answer::Change(answer) => Ok(answer),
            other => panic!("what was done to a message, not {other:?}"),
        }
    }

    async fn history(&self, viewer: &str) -> Result<HistoryAnswer> {
        let query = ClientOp::History(HistoryQuery {
            channel: self.channel,
            anchor: Anchor::Newest,
            limit: None,
        });
        match self.engine.run(&caller(viewer), query).await? {
            Answer::History(page) => Ok(page),
            other => panic!("a page, not {other:?}"),
        }
    }

    async fn log(&self, viewer: &str) -> Result<Vec<Entry>> {
        let query = ClientOp::Pull(PullQuery {
            channel: self.channel,
            after: Seq(0),
            limit: Some(500),
        });
        match self.engine.run(&caller(viewer), query).await? {
            Answer::Pull(page) => Ok(page.entries),
            other => panic!("entries, not {other:?}"),
        }
    }

    async fn message(&self, viewer: &str, seq: u64) -> Result<Message> {
        let log = self.log(viewer).await?;
        let entry = log.iter().find(|entry| entry.seq == Seq(seq));
        Ok(entry
            .and_then(Entry::as_message)
            .expect("a message")
            .clone())
    }
}

fn engine_over(messages: Arc<dyn MessageStore>, store: &MemoryStore) -> Engine {
    let inbox = Arc::new(store.clone());
    let engine = Engine::builder().stores(messages, inbox);
    engine
        .users(store.clone())
        .build()
        .expect("all parts are there")
}

async fn next_entry(session: &mut Session) -> Entry {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(5), session.next());
        if let Outgoing::Shared(push) = next.await.expect("something comes")
            && let Push::Entry(push) = push.push()
        {
            return (*push.entry).clone();
        }
    }
}

/// An edit's place and the body that came with it.
fn edited(entry: Entry) -> (Seq, Option<Body>) {
    match entry.kind {
        EntryKind::Edit(edit) => (entry.seq, edit.body),
        other => panic!("an edit, not {other:?}"),
    }
}

#[tokio::test]
async fn a_body_is_what_the_last_edit_says_until_it_is_erased() -> Result {
    for room in Room::each().await? {
        assert_eq!(
            room.act("ann", room.edit(2, "second", fresh())).await?.seq,
            Seq(3)
        );
        assert_eq!(
            room.act("ann", room.edit(2, "third", fresh())).await?.seq,
            Seq(4)
        );
        let message = room.message("bob", 2).await?;
        assert_eq!(
            (message.body, message.rev),
            (Some(Body::text("third")), Some(Seq(4)))
        );
        let bodies: Vec<Option<Body>> = room
            .log("bob")
            .await?
            .into_iter()
            .filter_map(|entry| match entry.kind {
                EntryKind::Edit(edit) => Some(edit.body),
                _ => None,
            })
            .collect();
        assert_eq!(
            bodies,
            [None, Some(Body::text("third"))],
            "only the current one"
        );

        assert_eq!(room.act("ann", room.delete(2, fresh())).await?.seq, Seq(5));
        let message = room.message("bob", 2).await?;
        assert_eq!(
            (message.body, message.erased, message.rev),
            (None, true, Some(Seq(5)))
        );
        let shown = format!(
            "{:?} {:?}",
            room.log("bob").await?,
            room.history("bob").await?
        );
        for text in ["first", "second", "third"] {
            assert!(!shown.contains(text), "{text} is in an answer");
        }
        let refused = room.act("ann", room.edit(2, "back", fresh())).await;
        assert_eq!(refused.expect_err("it is gone").code, Code::NotFound);
        let again = room.act("ann", room.delete(2, fresh())).await?;
        assert!(again.duplicate);
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_of_history_shows_what_was_done_as_of_its_head() -> Result {
    for room in Room::each().await? {
        let thread = Draft::channel(room.channel, "reply").thread(Seq(2));
        room.engine.send(&user("bob"), thread).await?;
        room.act("bob", room.react(2, "+", false)).await?;
        room.act("cat", room.react(2, "+", false)).await?;
        room.act("cat", room.react(2, "-", false)).await?;
        room.act("cat", room.react(2, "+", true)).await?;
        let last = room.act("ann", room.pin(2)).await?;
        let page = room.history("bob").await?;
        assert_eq!(page.as_of, last.seq);
        let [first, reply] = page.messages.as_slice() else {
            panic!("two messages: {page:?}")
        };
        let reactions: Vec<_> = first
            .reactions
            .iter()
            .map(|reaction| (reaction.emoji.as_str(), reaction.count, reaction.mine))
            .collect();
        assert_eq!(reactions, [("+", 1, true), ("-", 1, false)]);
        assert_eq!((first.pinned, first.replies), (true, 1));
        assert_eq!((reply.pinned, reply.replies), (false, 0));
        room.engine.shutdown().await;
    }
    Ok(())
}

/// Readers beside writers: whatever head a page names, it shows the fold of exactly the entries up to there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_exact_while_others_react() -> Result {
    for room in Room::each().await? {
        let room = Arc::new(room);
        let writers: Vec<_> = ["ann", "bob", "cat"]
            .into_iter()
            .map(|name| {
                let room = Arc::clone(&room);
                tokio::spawn(async move {
                    for turn in 0..40_u32 {
                        let emoji = format!("{}", turn % 4);
                        let reacted = room.act(name, room.react(2, &emoji, turn % 8 >= 4)).await;
                        reacted.expect("a member may react");
                    }
                })
            })
            .collect();
        let mut pages = Vec::new();
        while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            pages.push(room.history("bob").await?);
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await?;
        }
        let log = room.log("bob").await?;
        for page in pages {
            let until = log.iter().filter(|entry| entry.seq <= page.as_of);
            let expected = Annotations::fold(Seq(2), until, &user("bob"));
            let shown = &page.messages[0];
            assert_eq!(shown.reactions, expected.reactions, "as of {}", page.as_of);
        }
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn commands_of_one_batch_are_decided_on_top_of_each_other() -> Result {
    for room in Room::each().await? {
        let mut session = room
            .engine
            .connect(&user("ann"), DeviceId::from_uuid(uuid::Uuid::nil()))
            .await?;
        let ops = [
            room.react(2, "+", false),
            room.react(2, "+", false),
            room.delete(2, fresh()),
            room.react(2, "-", false),
        ];
        for (id, op) in (0..).zip(ops) {
            session.submit(id, op, 100);
        }
        let mut answers = Vec::new();
        while answers.len() < 4 {
            if let Outgoing::Frame(frame) = session.next().await {
                answers.push(match *frame {
                    chat_core::proto::wire::ServerFrame::Ok {
                        answer: Answer::Change(change),
                        ..
                    } => Ok(change.duplicate),
                    chat_core::proto::wire::ServerFrame::Error { rejection, .. } => {
                        Err(rejection.code)
                    }
                    other => panic!("an answer, not {other:?}"),
                });
            }
        }
        assert_eq!(
            answers,
            [Ok(false), Ok(true), Ok(false), Err(Code::NotFound)]
        );
        drop(session);
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn who_may_not_see_a_message_gets_its_edit_without_the_body() -> Result {
    for room in Room::each().await? {
        room.add(["dan".to_owned()]).await?;
        let device = |number| DeviceId::from_uuid(uuid::Uuid::from_u128(number));
        let mut bobs = room.engine.connect(&user("bob"), device(1)).await?;
        let mut dans = room.engine.connect(&user("dan"), device(2)).await?;
        room.act("ann", room.edit(2, "second", fresh())).await?;
        let bodies = [next_entry(&mut bobs).await, next_entry(&mut dans).await].map(edited);
        assert_eq!(
            bodies,
            [(Seq(4), Some(Body::text("second"))), (Seq(4), None)]
        );
        let pulled = room.log("dan").await?;
        assert!(!format!("{pulled:?}").contains("second"));
        drop((bobs, dans));
        room.engine.shutdown().await;
    }
    Ok(())
}

/// The first edit is the first that the node hears of the channel, so that it knows of a gap; the next one follows.
#[tokio::test]
async fn nor_does_anybody_in_a_large_channel() -> Result {
    for room in Room::each().await? {
        let crowd = (0..Limits::INBOX_COPY_MEMBERS_MAX).map(|number| format!("u{number}"));
        room.add(crowd).await?;
        room.add(["dan".to_owned()]).await?;
        let device = |number| DeviceId::from_uuid(uuid::Uuid::from_u128(number));
        let mut bobs = room.engine.connect(&user("bob"), device(1)).await?;
        let mut dans = room.engine.connect(&user("dan"), device(2)).await?;
        for text in ["second", "third"] {
            room.act("ann", room.edit(2, text, fresh())).await?;
            let bodies = [next_entry(&mut bobs).await, next_entry(&mut dans).await].map(edited);
            assert_eq!(bodies.map(|(_, body)| body), [Some(Body::text(text)), None]);
        }
        drop((bobs, dans));
        room.engine.shutdown().await;
    }
    Ok(())
}

/// What happens to the next calls of some operations.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<VecDeque<(&'static str, Step)>>>);

#[derive(Clone, Copy)]
enum Step {
    /// It is refused, surely not done.
    Fail,
    /// It is done, and nobody is told.
    LoseAnswer,
}

impl Script {
    fn plan(&self, op: &'static str, step: Step) {
        let mut steps = self.0.lock().expect("no test panics with it");
        steps.push_back((op, step));
    }

    fn next(&self, op: &'static str) -> Option<Step> {
        let mut steps = self.0.lock().expect("no test panics with it");
        let index = steps.iter().position(|(planned, _)| *planned == op)?;
        steps.remove(index).map(|(_, step)| step)
    }

    async fn room(&self, store: &MemoryStore) -> Result<Room> {
        let inner: Arc<dyn MessageStore> = Arc::new(store.clone());
        let scripted = Decorated::<dyn MessageStore, _>::with_layer(inner, self.clone());
        Room::over(Arc::new(scripted), store).await
    }
}

impl Layer for Script {
    async fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = std::result::Result<T, PortError>> + Send,
    ) -> std::result::Result<T, PortError> {
        self.write(op, call).await
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = std::result::Result<T, PortError>> + Send,
    ) -> std::result::Result<T, PortError> {
        match self.next(op) {
            None => call.await,
            Some(Step::Fail) => Err(PortError::unavailable(op, Retry::Safe)),
            Some(Step::LoseAnswer) => {
                call.await?;
                Err(PortError::unavailable(op, Retry::Unknown))
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_note_nothing_is_appended() -> Result {
    for step in [Step::Fail, Step::LoseAnswer] {
        let (store, script) = (MemoryStore::key_value(), Script::default());
        let room = script.room(&store).await?;
        script.plan("messages.keep_body_note", step);
        let refused = room.act("ann", room.delete(2, client_id(1))).await;
        assert_eq!(refused.expect_err("no note").code, Code::Unavailable);
        assert_eq!(room.log("ann").await?.len(), 2);
        let done = room.act("ann", room.delete(2, client_id(1))).await?;
        assert_eq!((done.seq, done.duplicate), (Seq(3), false));
        tokio::time::sleep(A_LOOK).await;
        assert_eq!(store.body_notes(10).await?, []);
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_failed_is_done_before_its_retry_is_answered() -> Result {
    for step in [Step::Fail, Step::LoseAnswer] {
        let (store, script) = (MemoryStore::key_value(), Script::default());
        let room = script.room(&store).await?;
        script.plan("messages.set_body", step);
        script.plan("messages.set_body", step);
        for _ in 0..2 {
            let unsure = room.act("ann", room.delete(2, client_id(1))).await;
            assert_eq!(
                unsure.expect_err("not erased yet").code,
                Code::UnknownOutcome
            );
        }
        let done = room.act("ann", room.delete(2, client_id(1))).await?;
        assert_eq!((done.seq, done.duplicate), (Seq(3), true));
        assert!(room.message("bob", 2).await?.erased);
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_starts_next_finishes_what_a_server_left() -> Result {
    let (store, script) = (MemoryStore::key_value(), Script::default());
    let room = script.room(&store).await?;
    script.plan("messages.set_body", Step::Fail);
    let unsure = room.act("ann", room.edit(2, "second", client_id(1))).await;
    assert_eq!(unsure.expect_err("not set yet").code, Code::UnknownOutcome);
    // It dies here: nobody retries, and its own look comes too late.
    room.engine.shutdown().await;
    assert_eq!(store.body_notes(10).await?.len(), 1);
    let next = engine_over(Arc::new(store.clone()), &store);
    tokio::time::sleep(A_LOOK).await;
    let room = Room {
        engine: next,
        channel: room.channel,
    };
    assert_eq!(
        room.message("bob", 2).await?.body,
        Some(Body::text("second"))
    );
    assert_eq!(store.body_notes(10).await?, []);
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_note_is_kept_until_the_log_is_past_it() -> Result {
    let (store, script) = (MemoryStore::key_value(), Script::default());
    let room = script.room(&store).await?;
    // The append is surely not done; the note stays, for all that anybody knows.
    script.plan("messages.append", Step::Fail);
    let refused = room.act("ann", room.delete(2, client_id(1))).await;
    assert_eq!(refused.expect_err("no append").code, Code::Unavailable);
    tokio::time::sleep(A_LOOK).await;
    assert_eq!(
        store.body_notes(10).await?.len(),
        1,
        "an append at its head may still come"
    );
    room.say("bob", "on").await?;
    tokio::time::sleep(A_LOOK).await;
    assert_eq!(store.body_notes(10).await?, []);
    assert!(!room.message("bob", 2).await?.erased);
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_append_without_an_answer_sets_its_bodies_once_it_is_known() -> Result {
    for store in [MemoryStore::new(), MemoryStore::key_value()] {
        let script = Script::default();
        let room = script.room(&store).await?;
        script.plan("messages.append", Step::LoseAnswer);
        let done = room
            .act("ann", room.edit(2, "second", client_id(1)))
            .await?;
        assert_eq!((done.seq, done.duplicate), (Seq(3), false));
        assert_eq!(
            room.message("bob", 2).await?.body,
            Some(Body::text("second"))
        );
        assert_eq!(store.body_notes(10).await?, []);
        room.engine.shutdown().await;
    }
    Ok(())
}
