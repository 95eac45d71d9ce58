//! Rows that are told what to show, and notes of what may not have been told. Where rows are derived from the logs there is
//! nothing to be told, and where no servers share the store there are no notes: then these cases have nothing to prove.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chat_core::memory::MemoryStore;
use chat_core::ports::{FanOutMark, InboxRow, InboxStore, InboxUpdate, PortError};
use chat_core::proto::{ChannelId, NodeId, Role, Seq, Timestamp, UserId};

use super::listing::{all_rows, one_row};
use crate::broken::{InboxTwist, TwistedInbox};
use crate::factory::Opened;
use crate::fanned_out::FannedOut;
use crate::log_writer::{LogWriter, START};
use crate::names::{fresh_channel, fresh_node, fresh_user, fresh_users};

/// More marks than a store has while cases run side by side.
pub(crate) const ALL_MARKS: usize = 10_000;

/// What a group's life tells, in its order, from behind, each twice, and the first half last.
pub async fn updates_converge_in_any_order(opened: Opened) {
    if opened.inbox().capabilities().derives_rows {
        return;
    }
    let as_told = |_: &mut Vec<InboxUpdate>| {};
    let backwards = |updates: &mut Vec<InboxUpdate>| updates.reverse();
    let twice = |updates: &mut Vec<InboxUpdate>| {
        *updates = updates
            .iter()
            .flat_map(|of| [of.clone(), of.clone()])
            .collect();
    };
    let late = |updates: &mut Vec<InboxUpdate>| {
        let half = updates.len() / 2;
        updates.rotate_left(half);
    };
    let again = |updates: &mut Vec<InboxUpdate>| updates.extend(updates.clone());
    type Order<'a> = &'a (dyn Fn(&mut Vec<InboxUpdate>) + Send + Sync);
    let orders: [Order<'_>; 5] = [&as_told, &backwards, &twice, &late, &again];
    for order in orders {
        let life = Life::live().await;
        let mut updates = life.updates.clone();
        order(&mut updates);
        tell(&opened, updates).await;
        let row = one_row(opened.inbox(), &life.bob, life.channel).await;
        assert_eq!(
            Shown::of(row),
            Shown::of(life.row.clone()),
            "updates lead to the same row in whatever order they come"
        );
        let carols = opened.inbox().rows(&life.carol, &[life.channel]).await;
        assert_eq!(
            carols.expect("the store answers"),
            [],
            "updates lead to the same row in whatever order they come: who left has none"
        );
        let left = opened.inbox().left(&life.carol, START, 10).await;
        let left = left.expect("the store answers");
        assert_eq!(
            left.iter().map(|left| left.channel).collect::<Vec<_>>(),
            [life.channel],
            "updates lead to the same row in whatever order they come: who left has left"
        );
    }
}

/// A message that is erased, or says something else, told of before, after, and again afterwards.
pub async fn a_replaced_copy_is_in_no_read(opened: Opened) {
    const FORMER: &str = "what nobody shall read any more";
    if opened.inbox().capabilities().derives_rows {
        return;
    }
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    for erases in [true, false] {
        for order in [[0, 1, 2], [0, 2, 1], [2, 0, 1], [2, 1, 0]] {
            let recorder = Recorder::default();
            let mut writer = recorder.group(&alice, &bob).await;
            let said = writer.say(&alice, FORMER).await.seq;
            if erases {
                writer.delete(&alice, said).await;
            } else {
                writer.edit(&alice, said, "what all may read").await;
            }
            let told = recorder.told();
            // The replacement may have been told of twice: with its entry, and with the body.
            let parts = [&told[..1], &told[1..2], &told[2..]];
            for part in order {
                tell(&opened, parts[part].to_vec()).await;
            }
            tell(&opened, parts[1].to_vec()).await;
            let rows = opened.inbox().rows(&bob, &[writer.channel()]).await;
            let read = format!(
                "{:?} {:?}",
                rows.expect("the store answers"),
                all_rows(opened.inbox(), &bob).await
            );
            assert!(
                !read.contains(FORMER),
                "a copy that was replaced or erased is in no read"
            );
        }
    }
}

/// A channel of many, told of and spoken in, then of few again.
pub async fn rows_of_large_channels_are_read_on_request(opened: Opened) {
    let (alice, crowd) = (fresh_user("alice"), fresh_users("crowd", 120));
    let mut writer = LogWriter::group(opened.messages(), &alice, &crowd).await;
    let silent = &crowd[0];
    assert_as_the_log(&opened, &writer, silent).await;
    for number in 0..3 {
        writer.say(&alice, format!("text {number}")).await;
        writer.say_many(&crowd[1], 10).await;
        assert_as_the_log(&opened, &writer, silent).await;
        writer.retitle(&alice, &format!("title {number}")).await;
        assert_as_the_log(&opened, &writer, silent).await;
        writer
            .promote(
                &alice,
                silent,
                [Role::Admin, Role::Member, Role::Guest][number],
            )
            .await;
        assert_as_the_log(&opened, &writer, silent).await;
    }
    for leaving in crowd[1..61].chunks(20) {
        writer.remove(&alice, leaving).await;
        assert_as_the_log(&opened, &writer, silent).await;
        let rows = opened.inbox().rows(&leaving[0], &[writer.channel()]).await;
        assert_eq!(
            rows.expect("the store answers"),
            [],
            "who was removed from a channel has no row of it"
        );
    }
    assert!(!writer.state().is_large(), "the channel is small again");
    writer.say(&alice, "among few").await;
    assert_as_the_log(&opened, &writer, silent).await;
}

/// Marks of owners whose lease runs, has ended, and never was, over closing and opening.
pub async fn fan_out_marks_outlive_their_owner(opened: Opened) {
    if !opened.inbox().capabilities().is_shared {
        return;
    }
    let (alive, dead, nameless) = (fresh_node("alive"), fresh_node("dead"), fresh_node("new"));
    let owners = [&alive, &dead, &nameless];
    let (one, other) = (fresh_channel(), fresh_channel());
    let mark = |owner: &NodeId, channel, after| FanOutMark {
        owner: owner.clone(),
        channel,
        after: Seq(after),
    };
    let now = Timestamp(START.0 + 10_000);
    let inbox = opened.inbox();
    for (owner, until) in [
        (&alive, now.0 + 1),
        (&dead, now.0 - 1),
        (&dead, now.0 - 500),
    ] {
        let renewed = inbox.renew_lease(owner, Timestamp(until)).await;
        renewed.expect("the store answers");
    }
    for owner in owners {
        for marks in [
            vec![mark(owner, one, 7), mark(owner, other, 0)],
            vec![mark(owner, one, 3)],
            vec![mark(owner, one, 9)],
        ] {
            let kept = inbox.keep_fan_out_marks(marks).await;
            kept.expect("the store answers");
        }
    }
    let law = "a mark is found once its owner's lease has ended";
    let both = |owner| vec![mark(owner, one, 3), mark(owner, other, 0)];
    for (owner, now, expected) in [
        (&alive, now, vec![]),
        (&alive, Timestamp(now.0 + 2), both(&alive)),
        (&dead, now, both(&dead)),
        (&nameless, now, both(&nameless)),
    ] {
        assert_eq!(orphaned(inbox, owner, now).await, sorted(expected), "{law}");
    }
    let opened = opened.reopen().await;
    let inbox = opened.inbox();
    assert_eq!(
        orphaned(inbox, &dead, now).await,
        sorted(both(&dead)),
        "{law}"
    );
    let dropped = inbox.drop_fan_out_marks(&dead, &[one]).await;
    dropped.expect("the store answers");
    let rest = vec![mark(&dead, other, 0)];
    assert_eq!(
        orphaned(inbox, &dead, now).await,
        rest,
        "a dropped mark is gone, no other"
    );
    let again = inbox.keep_fan_out_marks(vec![mark(&dead, one, 12)]).await;
    again.expect("the store answers");
    let expected = sorted(vec![mark(&dead, one, 12), mark(&dead, other, 0)]);
    assert_eq!(
        orphaned(inbox, &dead, now).await,
        expected,
        "a mark that was dropped leaves nothing to the next one"
    );
    for owner in owners {
        let dropped = inbox.drop_fan_out_marks(owner, &[one, other]).await;
        dropped.expect("the store answers");
        let later = Timestamp(now.0 + 1_000);
        assert_eq!(orphaned(inbox, owner, later).await, []);
    }
}

async fn orphaned(inbox: &Arc<dyn InboxStore>, owner: &NodeId, now: Timestamp) -> Vec<FanOutMark> {
    let marks = inbox.orphaned_fan_out_marks(now, ALL_MARKS).await;
    let mut marks = marks.expect("the store answers");
    // Other cases have marks of their own.
    marks.retain(|mark| mark.owner == *owner);
    sorted(marks)
}

fn sorted(mut marks: Vec<FanOutMark>) -> Vec<FanOutMark> {
    marks.sort();
    marks
}

async fn tell(opened: &Opened, updates: Vec<InboxUpdate>) {
    for update in updates {
        let told = opened.inbox().fan_out(update).await;
        told.expect("the store answers");
    }
}

async fn assert_as_the_log(opened: &Opened, writer: &LogWriter, user: &UserId) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    let newest = writer.entries();
    let newest = newest.iter().rfind(|entry| entry.kind.is_message());
    let shown = (
        row.head,
        row.meta.title,
        Some(row.member),
        row.member_count,
        row.activity,
        row.last.map(|last| last.seq),
    );
    let state = writer.state();
    let held = (
        writer.head(),
        state.meta().and_then(|meta| meta.title.clone()),
        writer.members().get(user).copied(),
        state.member_count(),
        state.last_at(),
        newest.map(|entry| entry.seq),
    );
    assert_eq!(
        shown, held,
        "a row of a large channel shows what the log holds when it is asked for"
    );
}

/// What an update in another order must not change.
#[derive(Debug, PartialEq)]
struct Shown {
    row: InboxRow,
    last: Option<(Seq, Option<String>)>,
}

impl Shown {
    fn of(mut row: InboxRow) -> Self {
        // Which entry set the body of a copy a store need not tell.
        let last = row.last.take().map(|last| {
            let body = last.as_message().and_then(|message| message.body.as_ref());
            (last.seq, body.map(|body| format!("{body:?}")))
        });
        Self { row, last }
    }
}

/// Notes what inboxes are told.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<InboxUpdate>>>);

#[async_trait]
impl InboxTwist for Recorder {
    async fn fan_out(&self, inner: &dyn InboxStore, update: InboxUpdate) -> Result<(), PortError> {
        self.note(update.clone());
        inner.fan_out(update).await
    }
}

impl Recorder {
    /// A new group in stores in memory that tell it what they are told.
    async fn group(&self, alice: &UserId, bob: &UserId) -> LogWriter {
        let (writer, _) = self.group_and_inbox(alice, bob).await;
        writer
    }

    async fn group_and_inbox(
        &self,
        alice: &UserId,
        bob: &UserId,
    ) -> (LogWriter, Arc<dyn InboxStore>) {
        let store = Arc::new(MemoryStore::key_value());
        let inbox: Arc<dyn InboxStore> = Arc::new(TwistedInbox::new(store.clone(), self.clone()));
        let messages = FannedOut::over(store, Arc::clone(&inbox));
        let writer = LogWriter::group(&messages, alice, std::slice::from_ref(bob)).await;
        (writer, inbox)
    }

    fn note(&self, update: InboxUpdate) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(update);
    }

    fn told(&self) -> Vec<InboxUpdate> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone()
    }
}

/// Everything that can happen to a row but one's own messages.
struct Life {
    bob: UserId,
    carol: UserId,
    channel: ChannelId,
    updates: Vec<InboxUpdate>,
    /// Bob's, when all was told in its order.
    row: InboxRow,
}

impl Life {
    async fn live() -> Self {
        let (alice, bob, carol) = (fresh_user("alice"), fresh_user("bob"), fresh_user("carol"));
        let recorder = Recorder::default();
        let (mut writer, inbox) = recorder.group_and_inbox(&alice, &bob).await;
        writer.say(&alice, "first").await;
        writer.retitle(&alice, "another title").await;
        let bobs = std::slice::from_ref(&bob);
        writer.mention(&alice, bobs).await;
        let named = writer.mention(&alice, bobs).await.seq;
        writer
            .add(&alice, std::slice::from_ref(&carol), Role::Member)
            .await;
        let last = writer.say(&alice, "last").await.seq;
        writer.edit(&alice, last, "last, edited").await;
        writer.promote(&alice, &bob, Role::Admin).await;
        writer.remove(&alice, std::slice::from_ref(&carol)).await;
        writer.delete(&alice, named).await;
        writer.react(&alice, last, "+", false).await;
        Self {
            row: one_row(&inbox, &bob, writer.channel()).await,
            updates: recorder.told(),
            channel: writer.channel(),
            bob,
            carol,
        }
    }
}
