//! A `MessageStore` and the `InboxStore` over it held to their model.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{
    BodyNote, EntriesQuery, FanOutMark, InboxRow, MembersQuery, MessagesQuery, PageLimit,
};
use chat_core::proto::channel::successor;
use chat_core::proto::{
    Body, ChannelId, Entry, EntryKind, Epoch, Head, Limits, NodeId, Role, Seq, Timestamp, UserId,
};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::log_steps::{LogStep, PageStep, steps};
use super::logs::{Attempt, Log, Logs, USERS};
use super::runner::Model;
use crate::factory::Opened;
use crate::inbox_store::{ALL_MARKS, paged_rows};
use crate::log_writer::{LogWriter, START, TICK_MS};
use crate::message_store::{
    assert_annotated, assert_log, assert_members, assert_notes, assert_state, assert_targets,
    assert_within, every_message, found, key_query, messages_page,
};
use crate::names::{fresh_channel, fresh_node};

/// Steps after which every log is compared, not only the one of the step.
const WHOLE_STEPS: u64 = 8;
/// Rows of a page when a whole inbox is read: fewer than there are channels.
const LIST_PAGE: usize = 2;
/// Channels left that are asked for: more than there are.
const LEFT_MAX: usize = 100;
/// Keys of a log that are looked for after a step.
const KEYS: usize = 4;

/// The model of `MessageStore` and `InboxStore`.
pub struct LogStoreModel;

/// The stores, and what they gave that the model does not say.
pub struct Subject {
    opened: Opened,
    epoch: Epoch,
    /// A node whose lease runs.
    node: NodeId,
}

impl ReferenceStateMachine for LogStoreModel {
    type State = Logs;
    type Transition = LogStep;

    fn init_state() -> BoxedStrategy<Logs> {
        Just(()).prop_map(|()| Logs::fresh()).boxed()
    }

    fn transitions(_: &Logs) -> BoxedStrategy<LogStep> {
        steps()
    }

    fn apply(mut state: Logs, step: &LogStep) -> Logs {
        state.apply(step);
        state
    }
}

impl Model for LogStoreModel {
    type Opened = Opened;
    type Subject = Subject;

    fn fresh() -> Logs {
        Logs::fresh()
    }

    async fn begin(opened: Opened, _: &Logs) -> Subject {
        let epoch = opened.messages().epoch().await;
        let node = fresh_node("living");
        live(&opened, &node).await;
        Subject {
            opened,
            epoch: epoch.expect("the store answers"),
            node,
        }
    }

    async fn step(mut subject: Subject, after: &Logs, step: LogStep) -> Subject {
        match &step {
            LogStep::Reopen => {
                subject.opened = subject.opened.reopen().await;
                let epoch = subject.opened.messages().epoch().await;
                assert_eq!(epoch.expect("the store answers"), subject.epoch);
                assert_lives(&subject.opened, &subject.node).await;
            }
            LogStep::Page(page) => subject.compare_page(after, page).await,
            _ => subject.take(&after.attempt).await,
        }
        let whole = after.steps.is_multiple_of(WHOLE_STEPS) || matches!(step, LogStep::Reopen);
        for (number, log) in after.logs.iter().enumerate() {
            if whole || step.writes_to() == Some(number) {
                subject.compare_log(after, log).await;
            }
        }
        if whole || step.writes_to().is_some() {
            for user in &after.users {
                subject.compare_inbox(after, user).await;
            }
        }
        subject
    }
}

/// A node begins something and is there to finish it.
async fn live(opened: &Opened, node: &NodeId) {
    let inbox = opened.inbox();
    if !inbox.capabilities().is_shared {
        return;
    }
    let until = Timestamp(START.0 + TICK_MS);
    let renewed = inbox.renew_lease(node, until).await;
    renewed.expect("the store answers");
    let mark = FanOutMark {
        owner: node.clone(),
        channel: fresh_channel(),
        after: Seq(0),
    };
    let kept = inbox.keep_fan_out_marks(vec![mark]).await;
    kept.expect("the store answers");
}

/// Nobody else finishes it.
async fn assert_lives(opened: &Opened, node: &NodeId) {
    let inbox = opened.inbox();
    if !inbox.capabilities().is_shared {
        return;
    }
    let marks = inbox.orphaned_fan_out_marks(START, ALL_MARKS).await;
    let mut marks = marks.expect("the store answers").into_iter();
    assert!(
        marks.all(|mark| mark.owner != *node),
        "a mark is found once its owner's lease has ended"
    );
}

impl Subject {
    async fn take(&self, attempt: &Attempt) {
        let (messages, inbox) = (self.opened.messages(), self.opened.inbox());
        let done = match attempt {
            Attempt::Nothing => Ok(()),
            Attempt::Append(before, append) => {
                let mut writer = LogWriter::of(messages, (**before).clone());
                writer.commit(append.clone()).await;
                Ok(())
            }
            Attempt::Refused {
                append,
                by_head,
                by_key,
            } => {
                let searches_keys = messages.capabilities().append_searches_keys;
                let by_key = by_key.as_ref().filter(|_| searches_keys);
                // Where the store does not search, and only the key speaks against it, nothing is asked.
                let Some(expected) = by_key.or(by_head.as_ref()) else {
                    return;
                };
                let outcome = messages.append(append.clone()).await;
                outcome.map(|outcome| assert_eq!(outcome, *expected, "what refuses an append"))
            }
            Attempt::SetBody(set) => messages.set_body(set.clone()).await,
            Attempt::Raise(rises) => inbox.raise(rises.clone()).await,
            Attempt::KeepNote(note) => messages.keep_body_note(note.clone()).await,
            Attempt::DropNote(channel, after) => messages.drop_body_note(*channel, *after).await,
        };
        done.expect("the store answers");
    }

    async fn compare_log(&self, model: &Logs, log: &Log) {
        let messages = self.opened.messages();
        let writer = LogWriter::of(messages, log.folded.clone());
        self.compare_heads(&writer).await;
        assert_log(messages, &writer).await;
        let mut expected = writer.entries();
        expected.retain(|entry| entry.kind.is_message());
        let read = every_message(messages, writer.channel()).await;
        assert_eq!(read, expected, "the messages of the log");
        let (mine, other) = (model.turn(0), model.turn(1));
        for viewer in [mine, other] {
            let page = messages_page(messages, &writer, viewer).await;
            assert_eq!(page.as_of, writer.head().seq, "the head of a page");
            assert_annotated(&page, &writer.entries(), viewer);
        }
        assert_targets(&self.opened, &writer, mine).await;
        self.compare_load(model, &writer).await;
        self.compare_keys(model, &writer, log).await;
        if !writer.records().is_empty() {
            assert_members(messages, &writer).await;
        }
        self.compare_members(&writer, other).await;
        self.compare_notes(log).await;
        let marks = self
            .opened
            .inbox()
            .marks(writer.channel(), &model.users)
            .await;
        let marks: BTreeMap<_, _> = marks.expect("the store answers").into_iter().collect();
        let of = |user: &UserId| Some((user.clone(), log.standings.get(user)?.mark()));
        let expected: BTreeMap<_, _> = model.users.iter().filter_map(of).collect();
        assert_eq!(marks, expected, "the marks that others are shown");
    }

    async fn compare_load(&self, model: &Logs, writer: &LogWriter) {
        let messages = self.opened.messages();
        for folded in [Seq(0), model.place(writer)] {
            assert_state(messages, writer, folded).await;
            let loaded = messages.load(writer.channel(), folded).await;
            let since = loaded.expect("the store answers").since;
            let behind = writer.records().len() - since.len();
            let mut expected = writer.records()[behind..].to_vec();
            for (loaded, expected) in since.iter().zip(&mut expected) {
                leave_out_body(&loaded.entry, &mut expected.entry);
            }
            assert_eq!(since, expected, "records with their keys");
        }
    }

    async fn compare_keys(&self, model: &Logs, writer: &LogWriter, log: &Log) {
        let messages = self.opened.messages();
        let keyed: Vec<_> = writer
            .records()
            .iter()
            .filter(|record| record.key.is_some())
            .collect();
        let every = keyed.len().div_ceil(KEYS).max(1);
        for record in keyed.into_iter().step_by(every) {
            let (seq, head) = (record.entry.seq, writer.head().seq);
            for (after, through) in [(Seq(0), head), (seq.previous(), seq), (seq, head)] {
                let answer = messages.find_key(key_query(record, after, through)).await;
                let expected = (after < seq).then(|| found(record));
                assert_eq!(
                    answer.expect("the store answers"),
                    expected,
                    "a key of {seq} in ({after}, {through}]"
                );
            }
            let mut of_another = key_query(record, Seq(0), head);
            of_another.sender = model.other_than(&record.entry.from);
            let mut elsewhere = key_query(record, Seq(0), head);
            elsewhere.channel = model.channel_other_than(log);
            for query in [of_another, elsewhere] {
                let answer = messages.find_key(query).await;
                assert_eq!(answer.expect("the store answers"), None, "another's key");
            }
        }
    }

    async fn compare_members(&self, writer: &LogWriter, after: &UserId) {
        let messages = self.opened.messages();
        let query = MembersQuery {
            channel: writer.channel(),
            after: Some(after.clone()),
            limit: 2,
        };
        let page = messages.members(query).await.expect("the store answers");
        if page.through == writer.head().seq {
            let rest = writer
                .members()
                .range::<UserId, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
            let rest: Vec<_> = rest.map(|(user, member)| (user.clone(), *member)).collect();
            let length = page.members.len().min(rest.len());
            assert_eq!(page.members, rest[..length], "members behind {after}");
            assert_eq!(
                page.more,
                length < rest.len(),
                "whether more members follow"
            );
        }
        let owners = writer.members().iter();
        let mut leaving: BTreeSet<UserId> = owners
            .filter(|(_, member)| member.role == Role::Owner)
            .map(|(user, _)| user.clone())
            .collect();
        for _ in 0..2 {
            let staying = writer.members().iter();
            let staying = staying.filter(|(user, _)| !leaving.contains(*user));
            let expected = successor(staying.map(|(user, member)| (user, *member)));
            let named = messages.successor(writer.channel(), &leaving).await;
            assert_eq!(named.expect("the store answers"), expected, "the successor");
            leaving.extend(expected);
        }
    }

    async fn compare_heads(&self, writer: &LogWriter) {
        let asked = [fresh_channel(), writer.channel()];
        let heads = self.opened.messages().heads(&asked).await;
        let expected = [Head::EMPTY, writer.head()];
        assert_eq!(heads.expect("the store answers"), expected, "the heads");
        let query = EntriesQuery {
            channel: writer.channel(),
            after: Seq(0),
            limit: PageLimit {
                entries: 1,
                bytes: 1,
            },
        };
        let page = self.opened.messages().entries(query).await;
        let page = page.expect("the store answers");
        assert_eq!(page.head, writer.head(), "the head of a first page");
    }

    async fn compare_notes(&self, log: &Log) {
        let channel = log.folded.state.id();
        let note = |after: Seq, targets: &BTreeSet<Seq>| BodyNote {
            channel,
            after,
            targets: targets.clone(),
        };
        let kept: Vec<BodyNote> = log.notes.iter().map(|(at, of)| note(*at, of)).collect();
        let others = (0..3).map(Seq).filter(|at| !log.notes.contains_key(at));
        let gone: Vec<BodyNote> = others.map(|at| note(at, &BTreeSet::new())).collect();
        let (kept, gone): (Vec<_>, Vec<_>) = (kept.iter().collect(), gone.iter().collect());
        assert_notes(self.opened.messages(), &kept, &gone).await;
    }

    async fn compare_page(&self, model: &Logs, step: &PageStep) {
        let (log, messages) = (&model.logs[step.channel], self.opened.messages());
        let (channel, after) = (log.folded.state.id(), Seq(step.after));
        let limit = PageLimit {
            entries: step.entries,
            bytes: step.bytes,
        };
        let entries = log.folded.records.iter().map(|record| &record.entry);
        let behind: Vec<&Entry> = entries.filter(|entry| entry.seq > after).collect();
        let query = EntriesQuery {
            channel,
            after,
            limit,
        };
        let page = messages.entries(query).await.expect("the store answers");
        assert_eq!(page.head, log.folded.state.head(), "the head of a page");
        let read: Vec<&Entry> = page.entries.iter().collect();
        assert_eq!(read, behind[..read.len().min(behind.len())], "a page");
        assert_holds(&page.entries, behind.len(), limit);

        let before = Seq(step.after + step.width);
        let mut inside = behind;
        inside.retain(|entry| entry.seq < before && entry.kind.is_message());
        let query = MessagesQuery {
            channel,
            viewer: model.users[step.viewer].clone(),
            after,
            before,
            newest: step.newest,
            limit,
        };
        let page = messages.messages(query).await.expect("the store answers");
        let read: Vec<Entry> = page.messages.iter().map(|of| of.entry.clone()).collect();
        assert_holds(&read, inside.len(), limit);
        let skipped = if step.newest {
            inside.len() - read.len()
        } else {
            0
        };
        let expected = inside[skipped..].iter().take(read.len()).copied();
        assert_eq!(
            read,
            expected.cloned().collect::<Vec<_>>(),
            "messages of a page"
        );
        assert_eq!(page.more, read.len() < inside.len(), "whether more follow");
        let writer = LogWriter::of(messages, log.folded.clone());
        assert_annotated(&page, &writer.entries(), &model.users[step.viewer]);
    }

    async fn compare_inbox(&self, model: &Logs, user: &UserId) {
        let inbox = self.opened.inbox();
        let mut expected: Vec<InboxRow> =
            model.logs.iter().filter_map(|log| log.row(user)).collect();
        expected.iter_mut().for_each(shorten);
        expected.sort_by_key(|row| Reverse((row.activity, row.channel)));
        let mut rows = paged_rows(inbox, user, None, LIST_PAGE).await;
        rows.iter_mut().for_each(shorten);
        assert_eq!(rows, expected, "the inbox");
        let since = expected.get(1).map(|row| row.activity);
        let newer = paged_rows(inbox, user, since, LIST_PAGE).await;
        let newer: Vec<ChannelId> = newer.iter().map(|row| row.channel).collect();
        expected.retain(|row| since.is_none_or(|since| row.activity >= since));
        let channels: Vec<ChannelId> = expected.iter().map(|row| row.channel).collect();
        assert_eq!(newer, channels, "the inbox since {since:?}");

        let asked: Vec<ChannelId> = model.logs.iter().map(|log| log.folded.state.id()).collect();
        let found = inbox.rows(user, &asked).await.expect("the store answers");
        for mut row in found {
            shorten(&mut row);
            let is_same = |listed: &InboxRow| listed.channel == row.channel;
            if let Some(listed) = rows.iter().find(|listed| is_same(listed)) {
                assert_eq!(row, *listed, "`list` and `rows` agree on a row");
            }
        }
        self.compare_left(model, user).await;
        let mut large = inbox.large_channels(user).await.expect("the store answers");
        large.sort_unstable();
        let is_in =
            |log: &&Log| log.folded.state.is_large() && log.folded.members.contains_key(user);
        let logs = model.logs.iter().filter(is_in);
        let mut expected: Vec<ChannelId> = logs.map(|log| log.folded.state.id()).collect();
        expected.sort_unstable();
        assert_eq!(large, expected, "large channels");
    }

    async fn compare_left(&self, model: &Logs, user: &UserId) {
        let of = |log: &Log| Some((*log.left.get(user)?, log.folded.state.id()));
        let left: BTreeSet<(Timestamp, ChannelId)> = model.logs.iter().filter_map(of).collect();
        let times = left.iter().map(|(at, _)| *at).chain([Timestamp(0)]);
        for since in times {
            let named = self.opened.inbox().left(user, since, LEFT_MAX).await;
            let named = named.expect("the store answers");
            assert!(
                named.is_sorted_by_key(|left| Reverse(left.at)),
                "newest first"
            );
            let named: BTreeSet<_> = named.iter().map(|left| (left.at, left.channel)).collect();
            let later = left.iter().filter(|(at, _)| *at >= since);
            assert_eq!(named, later.copied().collect(), "left since {since}");
        }
    }
}

impl Logs {
    /// Users by turns.
    fn turn(&self, behind: u64) -> &UserId {
        let turn = usize::try_from(self.steps + behind).expect("a run has few steps");
        &self.users[turn % USERS]
    }

    /// Some place of the log.
    fn place(&self, writer: &LogWriter) -> Seq {
        Seq(self.steps * 7 % (writer.head().seq.0 + 1))
    }

    fn other_than(&self, user: &UserId) -> UserId {
        let mut users = self.users.iter();
        users
            .find(|other| *other != user)
            .expect("there are several")
            .clone()
    }

    fn channel_other_than(&self, log: &Log) -> ChannelId {
        let mut channels = self.logs.iter().map(|log| log.folded.state.id());
        let other = channels.find(|channel| *channel != log.folded.state.id());
        other.expect("there are several")
    }
}

/// The page keeps to its limit, and holds something if there is anything.
fn assert_holds(page: &[Entry], there: usize, limit: PageLimit) {
    assert!(page.len() <= limit.entries.min(there), "too much in a page");
    if there > 0 {
        assert_within(page, limit.bytes);
    }
}

/// A fold needs no bodies of edits; a store may load them all the same.
fn leave_out_body(loaded: &Entry, expected: &mut Entry) {
    if let (EntryKind::Edit(loaded), EntryKind::Edit(expected)) = (&loaded.kind, &mut expected.kind)
        && loaded.body.is_none()
    {
        expected.body = None;
    }
}

/// An inbox's copy may be shortened: of long messages the body is not compared.
fn shorten(row: &mut InboxRow) {
    let Some(Entry {
        kind: EntryKind::Message(message),
        ..
    }) = &mut row.last
    else {
        return;
    };
    let is_long = |body: &Body| body.size_bytes() > Limits::default().preview_bytes_max / 2;
    if message.body.as_ref().is_some_and(is_long) {
        message.body = None;
    }
}
