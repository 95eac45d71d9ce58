//! Marks on their way from a session to the store and to others, with whatever can go wrong between two steps.

mod script;

use std::sync::Arc;
use std::time::Duration;

use chat_core::memory::MemoryStore;
use chat_core::ports::{InboxStore, MarkKind, MarkRise};
use chat_core::proto::entry::MembersChange;
use chat_core::proto::people::Status;
use chat_core::proto::wire::{
    Answer, ClientOp, Mark, Push, ReceiptsQuery, ServerFrame, SetStatus, SyncQuery,
};
use chat_core::proto::{ChannelId, Code, DeviceId, Head, Seq, Timestamp, UserId};
use chat_core::{Caller, Draft, Engine, EngineSettings, NewChannel, Outgoing, Session};
use script::{Script, Step};
use tokio::task::JoinHandle;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Answered = JoinHandle<std::result::Result<Answer, Code>>;

const RAISE: &str = "inbox.raise";

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(number))
}

fn read(channel: ChannelId, seq: u64) -> ClientOp {
    ClientOp::Read(Mark {
        channel,
        seq: Seq(seq),
    })
}

/// An engine whose inboxes go as planned, and a channel of ann, bob and cat with ten messages behind its creation.
struct Room {
    engine: Engine,
    script: Script,
    store: MemoryStore,
    channel: ChannelId,
}

impl Room {
    async fn open(settings: EngineSettings) -> Result<Self> {
        let (script, store) = (Script::default(), MemoryStore::new());
        let engine = Engine::builder()
            .stores(Arc::new(store.clone()), script.inbox(&store))
            .users(store.clone())
            .settings(settings)
            .build()?;
        let members = vec![user("bob"), user("cat")];
        let created = engine
            .create_channel(
                &Caller::user(user("ann")),
                NewChannel::group("room").members(members),
            )
            .await?;
        for number in 0..10 {
            let draft = Draft::channel(created.channel, format!("number {number}"));
            engine.send(&user("ann"), draft).await?;
        }
        Ok(Self {
            engine,
            script,
            store,
            channel: created.channel,
        })
    }

    /// A request by a caller of its own.
    fn ask(&self, name: &str, op: ClientOp) -> Answered {
        let (engine, caller) = (self.engine.clone(), Caller::user(user(name)));
        tokio::spawn(async move {
            let answer = engine.run(&caller, op).await;
            answer.map_err(|rejection| rejection.code)
        })
    }

    /// The answer to a request that is not refused.
    async fn done(&self, name: &str, op: ClientOp) -> Answer {
        let answer = self.ask(name, op).await.expect("nothing panics");
        answer.expect("it is not refused")
    }

    fn read(&self, name: &str, seq: u64) -> Answered {
        self.ask(name, read(self.channel, seq))
    }

    /// Where the store has this user's own mark, and what it shows of it.
    async fn marks(&self, name: &str) -> (u64, u64) {
        let user = user(name);
        let rows = self.store.rows(&user, &[self.channel]).await;
        let marks = self.store.marks(self.channel, &[user]).await;
        let own = rows
            .expect("it answers")
            .first()
            .map_or(0, |row| row.read.seq.0);
        let shown = marks.expect("it answers");
        (own, shown.first().map_or(0, |(_, mark)| mark.read.seq.0))
    }

    async fn receipts(
        &self,
        name: &str,
        channel: ChannelId,
    ) -> std::result::Result<Vec<(String, u64, Option<u64>)>, Code> {
        match self
            .ask(name, ClientOp::Receipts(ReceiptsQuery { channel }))
            .await
            .expect("no panic")?
        {
            Answer::Receipts(answer) => Ok(answer
                .marks
                .into_iter()
                .map(|of| {
                    (
                        of.user.to_string(),
                        of.read.0,
                        of.delivered.map(|seq| seq.0),
                    )
                })
                .collect()),
            other => panic!("marks, not {other:?}"),
        }
    }
}

/// Until everything that can go on has done so; the clock is paused.
async fn standstill() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The marks that a session was told, as user, seq and whether it is a read mark.
fn told(session: &mut Session) -> Vec<(String, u64, bool)> {
    let mut told = Vec::new();
    while let Some(outgoing) = session.try_next() {
        if let Outgoing::Shared(push) = outgoing {
            match push.push() {
                Push::Read(mark) => told.push((mark.user.to_string(), mark.seq.0, true)),
                Push::Delivered(mark) => told.push((mark.user.to_string(), mark.seq.0, false)),
                _ => {}
            }
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn rises_collect_while_one_write_is_under_way() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let mut anns = room.engine.connect(&user("ann"), device(1)).await?;
    room.script.plan(RAISE, &[Step::Wait]);
    let first = room.read("bob", 2);
    standstill().await;
    let rest: Vec<Answered> = [("bob", 5), ("bob", 9), ("bob", 7), ("cat", 4), ("cat", 3)]
        .map(|(name, seq)| room.read(name, seq))
        .into();
    standstill().await;
    assert!(!first.is_finished() && rest.iter().all(|answer| !answer.is_finished()));
    assert_eq!(room.marks("bob").await.0, 1, "nothing is written yet");
    room.script.let_on();
    for answer in rest.into_iter().chain([first]) {
        assert_eq!(answer.await?, Ok(Answer::Done));
    }
    assert_eq!(room.script.calls(RAISE), 2, "one write for all that waited");
    assert_eq!(
        (room.marks("bob").await.0, room.marks("cat").await.0),
        (9, 4)
    );
    standstill().await;
    let told = told(&mut anns);
    assert!(told.contains(&("bob".into(), 9, true)), "{told:?}");
    assert!(
        !told.iter().any(|(_, seq, _)| [5, 7, 3].contains(seq)),
        "only the newest of a write: {told:?}"
    );
    drop(anns);
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_bulk_write_is_cut_into_bounded_ones() -> Result {
    let mut settings = EngineSettings::default();
    settings.marks_in_write_max = 2;
    let room = Room::open(settings).await?;
    room.script.plan(RAISE, &[Step::Wait]);
    let mut answers = vec![room.read("ann", 11)];
    standstill().await;
    answers.extend(["ann", "bob", "cat"].map(|name| room.read(name, 6)));
    standstill().await;
    room.script.let_on();
    for answer in answers {
        assert_eq!(answer.await?, Ok(Answer::Done));
    }
    assert_eq!(room.script.calls(RAISE), 3);
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn too_many_that_wait_are_refused_and_may_come_again() -> Result {
    let mut settings = EngineSettings::default();
    settings.marks_waiting_max = 2;
    let room = Room::open(settings).await?;
    room.script.plan(RAISE, &[Step::Wait]);
    let taken = [room.read("bob", 2), room.read("bob", 3)];
    standstill().await;
    let caller = Caller::user(user("cat"));
    let refused = room.engine.run(&caller, read(room.channel, 4)).await;
    let refused = refused.expect_err("there is no room");
    assert_eq!(refused.code, Code::Unavailable);
    assert!(refused.retry_after_ms.is_some());
    room.script.let_on();
    for answer in taken {
        assert_eq!(answer.await?, Ok(Answer::Done));
    }
    assert_eq!(room.read("cat", 4).await?, Ok(Answer::Done));
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_answers_its_whole_batch_and_the_next_one_is_written() -> Result {
    for (step, code, behind) in [
        (Step::Fail, Code::Unavailable, 1),
        (Step::LoseAnswer, Code::UnknownOutcome, 5),
        (Step::Panic, Code::UnknownOutcome, 1),
    ] {
        let room = Room::open(EngineSettings::default()).await?;
        room.script.plan(RAISE, &[Step::Wait, step]);
        let first = room.read("ann", 11);
        standstill().await;
        let batch = [
            room.read("bob", 5),
            room.read("bob", 4),
            room.read("cat", 3),
        ];
        standstill().await;
        room.script.let_on();
        assert_eq!(first.await?, Ok(Answer::Done));
        for answer in batch {
            assert_eq!(answer.await?, Err(code));
        }
        assert_eq!(room.marks("bob").await.0, behind);
        assert_eq!(room.read("bob", 5).await?, Ok(Answer::Done));
        assert_eq!(room.marks("bob").await.0, 5);
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_rise_whose_session_has_ended_is_written_and_told() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let mut bobs = room.engine.connect(&user("bob"), device(1)).await?;
    let mut laptop = room.engine.connect(&user("bob"), device(2)).await?;
    room.script.plan(RAISE, &[Step::Wait]);
    bobs.submit(1, read(room.channel, 8), 50);
    while let Ok(outgoing) = tokio::time::timeout(Duration::from_millis(5), bobs.next()).await {
        let is_answer = matches!(&outgoing, Outgoing::Frame(frame) if matches!(**frame, ServerFrame::Ok { .. }));
        assert!(!is_answer, "nothing is answered before it is durable");
    }
    drop(bobs);
    room.script.let_on();
    standstill().await;
    assert_eq!(room.marks("bob").await.0, 8);
    assert_eq!(told(&mut laptop), [("bob".to_owned(), 8, true)]);
    drop(laptop);
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_writes_and_answers_what_was_taken() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    room.script.plan(RAISE, &[Step::Wait]);
    let mut answers = vec![room.read("bob", 3)];
    standstill().await;
    answers.push(room.read("cat", 7));
    standstill().await;
    let engine = room.engine.clone();
    let ending = tokio::spawn(async move { engine.shutdown().await });
    standstill().await;
    assert!(!ending.is_finished(), "marks are under way");
    assert_eq!(room.read("ann", 11).await?, Err(Code::Unavailable));
    room.script.let_on();
    ending.await?;
    for answer in answers {
        assert_eq!(answer.await?, Ok(Answer::Done));
    }
    assert_eq!(
        (room.marks("bob").await.0, room.marks("cat").await.0),
        (3, 7)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_removed_raise_nothing() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    room.script.plan(RAISE, &[Step::Wait]);
    let late = room.read("bob", 5);
    standstill().await;
    let gone = MembersChange {
        remove: vec![user("bob")],
        ..MembersChange::default()
    };
    let ann = Caller::user(user("ann"));
    room.engine
        .change_members(&ann, room.channel, None, gone)
        .await?;
    room.script.let_on();
    assert_eq!(
        late.await?,
        Ok(Answer::Done),
        "they were a member when they asked"
    );
    assert_eq!(room.marks("bob").await, (0, 0));
    assert_eq!(room.read("bob", 5).await?, Err(Code::NotFound));
    assert_eq!(
        room.receipts("bob", room.channel).await,
        Err(Code::NotFound)
    );
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_invisible_reads_on_in_private() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let mut anns = room.engine.connect(&user("ann"), device(1)).await?;
    let mut bobs = room.engine.connect(&user("bob"), device(2)).await?;
    let mut laptop = room.engine.connect(&user("bob"), device(3)).await?;
    let status = |state| ClientOp::Status(SetStatus { state, text: None });
    assert_eq!(room.read("bob", 3).await?, Ok(Answer::Done));
    room.done("bob", status(Status::Invisible)).await;
    assert_eq!(room.read("bob", 8).await?, Ok(Answer::Done));
    standstill().await;
    assert_eq!(room.marks("bob").await, (8, 3));
    assert_eq!(told(&mut anns), [("bob".to_owned(), 3, true)]);
    assert_eq!(
        told(&mut laptop).last(),
        Some(&("bob".to_owned(), 8, true)),
        "one's own devices follow"
    );
    let shown = room.receipts("ann", room.channel).await;
    assert!(
        shown
            .expect("a member may")
            .contains(&("bob".to_owned(), 3, None))
    );
    // Nor is it told what arrives.
    let direct = room
        .engine
        .send(&user("ann"), Draft::direct(&user("bob"), "psst"))
        .await?
        .channel;
    let arrived = ClientOp::Delivered(Mark {
        channel: direct,
        seq: Seq(2),
    });
    room.done("bob", arrived.clone()).await;
    let bobs_marks =
        |marks: Vec<(String, u64, Option<u64>)>| marks.into_iter().find(|mark| mark.0 == "bob");
    let shown = room.receipts("ann", direct).await.expect("a member may");
    assert_eq!(bobs_marks(shown), Some(("bob".to_owned(), 1, Some(1))));
    // Seen again, they show what they say from then on, also what was read before.
    room.done("bob", status(Status::Online)).await;
    told(&mut anns);
    assert_eq!(room.read("bob", 8).await?, Ok(Answer::Done));
    room.done("bob", arrived).await;
    standstill().await;
    assert_eq!(room.marks("bob").await, (8, 8));
    let mut heard = told(&mut anns);
    heard.sort();
    assert_eq!(
        heard,
        [("bob".to_owned(), 2, false), ("bob".to_owned(), 8, true)]
    );
    drop((told(&mut bobs), anns, bobs, laptop));
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn receipts_are_live_in_groups_up_to_twenty_and_on_request_above() -> Result {
    for (others, live) in [(19, true), (20, false), (120, false)] {
        let room = Room::open(EngineSettings::default()).await?;
        let members: Vec<UserId> = (0..others)
            .map(|number| user(&format!("m{number:03}")))
            .collect();
        let group = NewChannel::group("g").members(members.clone());
        let channel = room
            .engine
            .create_channel(&Caller::user(user("ann")), group)
            .await?
            .channel;
        let mut anns = room.engine.connect(&user("ann"), device(1)).await?;
        let mut own = room.engine.connect(&members[0], device(2)).await?;
        room.engine
            .send(&user("ann"), Draft::channel(channel, "hear"))
            .await?;
        room.done("m000", read(channel, 2)).await;
        let delivered = ClientOp::Delivered(Mark {
            channel,
            seq: Seq(2),
        });
        let written = room.script.calls(RAISE);
        room.done("m000", delivered).await;
        assert_eq!(
            room.script.calls(RAISE),
            written,
            "nobody is shown what arrives in a group"
        );
        standstill().await;
        let expected = [("m000".to_owned(), 2, true)];
        assert_eq!(told(&mut own), expected, "one's own devices always hear");
        assert_eq!(told(&mut anns), if live { &expected[..] } else { &[] });
        let shown = room.receipts("ann", channel).await.expect("a member may");
        assert_eq!(shown.len(), others + 1);
        assert!(shown.is_sorted(), "by user id");
        assert!(shown.contains(&("m000".to_owned(), 2, None)));
        assert!(shown.contains(&("m001".to_owned(), 1, None)));
        drop((anns, own));
        room.engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn receipts_of_a_large_channel_are_those_of_its_first_members() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let members = (0..620)
        .map(|number| user(&format!("m{number:03}")))
        .collect();
    let group = NewChannel::group("g").members(members);
    let channel = room
        .engine
        .create_channel(&Caller::user(user("ann")), group)
        .await?
        .channel;
    let shown = room.receipts("m600", channel).await.expect("a member may");
    assert_eq!(shown.len(), room.engine.limits().page_entries_max);
    assert_eq!((shown[0].0.as_str(), shown[1].0.as_str()), ("ann", "m000"));
    assert_eq!(
        room.receipts("stranger", channel).await,
        Err(Code::NotFound)
    );
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_a_direct_channel_both_see_what_arrived_and_what_was_read() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let (ann, bob) = (user("ann"), user("bob"));
    for text in ["one", "two", "three"] {
        room.engine.send(&ann, Draft::direct(&bob, text)).await?;
    }
    let channel = ChannelId::direct(&ann, &bob);
    let mut anns = room.engine.connect(&ann, device(1)).await?;
    let op = |seq| {
        ClientOp::Delivered(Mark {
            channel,
            seq: Seq(seq),
        })
    };
    for seq in [3, 2, 3] {
        room.done("bob", op(seq)).await;
    }
    standstill().await;
    assert_eq!(
        told(&mut anns),
        [("bob".to_owned(), 3, false)],
        "a mark that does not rise is not told"
    );
    let bobs = |marks: Vec<(String, u64, Option<u64>)>| marks.last().cloned();
    let shown = room.receipts("ann", channel).await.expect("a member may");
    assert_eq!(bobs(shown), Some(("bob".to_owned(), 1, Some(3))));
    room.done("bob", read(channel, 99)).await;
    let shown = room.receipts("ann", channel).await.expect("a member may");
    assert_eq!(
        bobs(shown),
        Some(("bob".to_owned(), 4, Some(4))),
        "what was read has arrived"
    );
    drop(anns);
    room.engine.shutdown().await;
    Ok(())
}

/// A mark of another device, with the log as it was: a device that was away learns of it, by what it holds alone.
#[tokio::test]
async fn a_read_mark_reaches_a_device_whose_cursor_is_the_head() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let head = Seq(11);
    let sync = |read_seq, since: Option<Timestamp>| {
        ClientOp::Sync(SyncQuery {
            cursors: [(room.channel, (head, Seq(read_seq)))].into(),
            since: since.map(|since| since.to_string()),
            ..SyncQuery::default()
        })
    };
    // Long before and long after whatever happened: it is not the time that decides.
    for since in [None, Some(Timestamp(u64::MAX / 2))] {
        for (read_seq, differs) in [(1, true), (11, false)] {
            room.done("bob", read(room.channel, 11)).await;
            let Answer::Sync(answer) = room.done("bob", sync(read_seq, since)).await else {
                panic!("everybody may sync")
            };
            let rows: Vec<_> = answer
                .channels
                .iter()
                .map(|row| (row.read.seq, row.unread))
                .collect();
            // Without `since` all others are listed, and this one is no other.
            assert_eq!(rows, if differs { vec![(head, 0)] } else { Vec::new() });
        }
    }
    room.engine.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn mentions_are_counted_apart_and_once_however_often_a_message_is_sent() -> Result {
    let room = Room::open(EngineSettings::default()).await?;
    let ann = user("ann");
    let bob = Caller::user(user("bob"));
    let mut draft = Draft::channel(room.channel, "@bob");
    draft = draft.mentions(vec![user("bob")]);
    let first = room.engine.send(&ann, draft.clone()).await?;
    for _ in 0..3 {
        let again = room.engine.send(&ann, draft.clone()).await?;
        assert_eq!((again.seq, again.duplicate), (first.seq, true));
    }
    room.engine
        .send(&ann, Draft::channel(room.channel, "not for bob"))
        .await?;
    let summary = room.engine.channel(&bob, room.channel).await?;
    assert_eq!((summary.unread, summary.mentions), (12, 1));
    // The same rise, delivered twice, takes the mention away once and brings none back.
    let rise = MarkRise {
        channel: room.channel,
        user: user("bob"),
        kind: MarkKind::Read,
        to: Head::new(first.seq.0, first.n.0),
        at: Timestamp(1),
        private: false,
    };
    for rises in [vec![rise.clone()], vec![rise.clone(), rise]] {
        room.store.raise(rises).await?;
        let summary = room.engine.channel(&bob, room.channel).await?;
        assert_eq!((summary.unread, summary.mentions), (1, 0));
    }
    room.engine.shutdown().await;
    Ok(())
}
