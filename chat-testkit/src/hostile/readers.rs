//! Every request that reads, by one user, over one log.

use std::collections::BTreeMap;

use chat_core::proto::channel::Member;
use chat_core::proto::wire::{
    Anchor, Answer, ClientOp, Format, HistoryAnswer, HistoryQuery, PullAnswer, PullQuery,
    ReceiptsQuery, ReceivedFrame, ServerFrame, Summary, SyncAnswer, SyncQuery, decode_server,
    encode,
};
use chat_core::proto::{ChannelId, Code, Entry, EntryKind, Seq, UserId};
use chat_core::{Caller, Engine};

use super::log::Written;

/// Pages after which a walk through a log of few entries is one that does not end.
const PAGES_MAX: usize = 200;

/// One user before one log.
pub(super) struct Reader<'a> {
    engine: &'a Engine,
    written: &'a Written,
    caller: Caller,
    user: &'a UserId,
    member: Option<Member>,
    log: Vec<Entry>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(engine: &'a Engine, written: &'a Written, user: &'a UserId) -> Self {
        Self {
            engine,
            written,
            caller: Caller::user(user.clone()),
            user,
            member: written.member(user),
            log: written.entries(),
        }
    }

    pub(super) fn is_member(&self) -> bool {
        self.member.is_some()
    }

    pub(super) async fn read_everything(&self) {
        let Some(member) = self.member else {
            self.is_not_admitted().await;
            return;
        };
        self.pulls(member.visible_from).await;
        self.history(member.visible_from).await;
        self.syncs(member.visible_from).await;
        self.lists().await;
    }

    async fn is_not_admitted(&self) {
        let channel = self.written.channel();
        let pull = PullQuery {
            channel,
            after: Seq(0),
            limit: None,
        };
        let history = HistoryQuery {
            channel,
            anchor: Anchor::Newest,
            limit: None,
        };
        for op in [
            ClientOp::Pull(pull),
            ClientOp::History(history),
            ClientOp::Receipts(ReceiptsQuery { channel }),
        ] {
            let answer = self.engine.run(&self.caller, op).await;
            let code = answer.map_err(|rejection| rejection.code);
            assert_eq!(code, Err(Code::NotFound), "{} is not in it", self.user);
        }
        for entries in [0, 50] {
            let cursors = BTreeMap::from([(channel, (Seq(1), Seq(0)))]);
            let (listed, left) = self.sync(cursors, entries).await;
            assert!(listed.is_none(), "{} is not in it", self.user);
            assert!(left, "{} learns that they are not in it", self.user);
        }
    }

    async fn pulls(&self, visible_from: Seq) {
        let head = self.written.head();
        let afters = (0..=head.seq.0 + 1).chain([i64::MAX as u64, u64::MAX]);
        for after in afters {
            self.pull_to_the_end(Seq(after), None, visible_from).await;
        }
        self.pull_to_the_end(Seq(0), Some(1), visible_from).await;
    }

    async fn pull_to_the_end(&self, after: Seq, limit: Option<u32>, visible_from: Seq) {
        let head = self.written.head();
        let mut cursor = after;
        for _ in 0..PAGES_MAX {
            let query = PullQuery {
                channel: self.written.channel(),
                after: cursor,
                limit,
            };
            let page = self.pull(query).await;
            assert_eq!(page.head, head, "a pull tells the head");
            let first = cursor.max(visible_from.previous()).next();
            self.are_seen(&page.entries, first);
            if cursor >= head.seq {
                assert!(page.entries.is_empty(), "nothing is behind the head");
                return;
            }
            let last = page.entries.last();
            cursor = last.expect("a page before the head makes progress").seq;
        }
        panic!("pulls from {after} never reach the head");
    }

    /// These entries are the log from `first` on, as the user may see it.
    fn are_seen(&self, entries: &[Entry], first: Seq) {
        let expected = self.log.iter().filter(|entry| entry.seq >= first);
        for (found, entry) in entries.iter().zip(expected.clone()) {
            assert_eq!(found.seq, entry.seq, "contiguous from {first}");
            self.is_seen(found, entry);
        }
        assert!(entries.len() <= expected.count(), "as many as the log has");
    }

    fn is_seen(&self, found: &Entry, entry: &Entry) {
        let is_secret = entry.withheld && entry.from != *self.user;
        if is_secret && !matches!(entry.kind, EntryKind::Created(_)) {
            assert_eq!(found.kind, EntryKind::Withheld, "withheld: {entry:?}");
        } else {
            assert_eq!(found.kind.name(), entry.kind.name(), "{entry:?}");
        }
    }

    async fn history(&self, visible_from: Seq) {
        let head = self.written.head().seq.0;
        let places = (0..=head + 1).chain([i64::MAX as u64, u64::MAX]).map(Seq);
        for place in places {
            for anchor in [
                Anchor::Before(place),
                Anchor::After(place),
                Anchor::Around(place),
            ] {
                self.page(anchor, Some(2), visible_from).await;
            }
        }
        let messages = self
            .log
            .iter()
            .filter(|entry| entry.seq >= visible_from && entry.kind.is_message());
        let all: Vec<Seq> = messages.map(|entry| entry.seq).collect();
        for limit in [Some(1), None] {
            let older = self.walk_back(limit, visible_from).await;
            assert_eq!(older, all, "pages walk back to the first message");
            let newer = self.walk_on(limit, visible_from).await;
            assert_eq!(newer, all, "pages walk on to the last message");
        }
    }

    async fn walk_back(&self, limit: Option<u32>, visible_from: Seq) -> Vec<Seq> {
        let (mut walked, mut anchor) = (Vec::new(), Anchor::Newest);
        for _ in 0..PAGES_MAX {
            let page = self.page(anchor, limit, visible_from).await;
            let mut found: Vec<Seq> = page.messages.iter().map(|of| of.entry.seq).collect();
            found.append(&mut walked);
            walked = found;
            if !page.more_before {
                return walked;
            }
            let first = page.messages.first().expect("a page with more has some");
            anchor = Anchor::Before(first.entry.seq);
        }
        panic!("history never ends before {anchor:?}");
    }

    async fn walk_on(&self, limit: Option<u32>, visible_from: Seq) -> Vec<Seq> {
        let (mut walked, mut anchor) = (Vec::new(), Anchor::After(Seq(0)));
        for _ in 0..PAGES_MAX {
            let page = self.page(anchor, limit, visible_from).await;
            walked.extend(page.messages.iter().map(|of| of.entry.seq));
            if !page.more_after {
                return walked;
            }
            let last = page.messages.last().expect("a page with more has some");
            anchor = Anchor::After(last.entry.seq);
        }
        panic!("history never ends behind {anchor:?}");
    }

    async fn page(&self, anchor: Anchor, limit: Option<u32>, visible_from: Seq) -> HistoryAnswer {
        let query = HistoryQuery {
            channel: self.written.channel(),
            anchor,
            limit,
        };
        let page = match self.answer(ClientOp::History(query)).await {
            Answer::History(page) => page,
            other => panic!("not a page: {other:?}"),
        };
        for message in &page.messages {
            let found = &message.entry;
            assert!(found.seq >= visible_from, "nothing before {visible_from}");
            let entry = self.log.iter().find(|entry| entry.seq == found.seq);
            self.is_seen(found, entry.expect("of the log"));
        }
        page
    }

    async fn syncs(&self, visible_from: Seq) {
        let (channel, head) = (self.written.channel(), self.written.head());
        for entries in [0, 50] {
            let (listed, _) = self.sync(BTreeMap::new(), entries).await;
            let summary = listed.expect("a sync without cursors lists every channel");
            self.is_summed_up(&summary, Seq(0), entries, visible_from);
            let cursors = (0..=head.seq.0 + 1).chain([i64::MAX as u64, u64::MAX]);
            for cursor in cursors.map(Seq) {
                let cursors = BTreeMap::from([(channel, (cursor, summary.read.seq))]);
                let (listed, left) = self.sync(cursors, entries).await;
                assert!(!left, "{} is in it", self.user);
                if let Some(summary) = listed {
                    self.is_summed_up(&summary, cursor, entries, visible_from);
                } else {
                    assert!(cursor >= head.seq, "a cursor behind the head is told so");
                }
            }
        }
    }

    /// Between `cursor` and the head the summary leaves out what its gap says, and nothing else.
    fn is_summed_up(&self, summary: &Summary, cursor: Seq, entries: u32, visible_from: Seq) {
        let head = self.written.head();
        assert_eq!(summary.head, head, "a summary tells the head");
        assert_eq!(summary.visible_from, visible_from);
        let mut next = cursor.max(visible_from.previous()).next();
        if let Some(gap) = summary.gap {
            assert!(
                gap.from == next && gap.from <= gap.to,
                "{gap:?} from {next}"
            );
            next = gap.to.next();
        }
        self.are_seen(&summary.entries, next);
        assert!(summary.entries.len() <= entries as usize);
        if entries > 0 && next <= head.seq {
            let last = summary.entries.last().map(|entry| entry.seq);
            assert_eq!(last, Some(head.seq), "entries go on to the head");
        }
        if let Some(last) = &summary.last {
            let entry = self.log.iter().find(|entry| entry.seq == last.seq);
            self.is_seen(last, entry.expect("of the log"));
        }
    }

    /// What all pages of a sync say of the channel: its summary, and whether the user is not in it.
    async fn sync(
        &self,
        cursors: BTreeMap<ChannelId, (Seq, Seq)>,
        entries: u32,
    ) -> (Option<Summary>, bool) {
        let mut query = SyncQuery {
            cursors,
            entries,
            ..SyncQuery::default()
        };
        let (mut listed, mut left) = (None, false);
        for _ in 0..PAGES_MAX {
            let page = match self.answer(ClientOp::Sync(query.clone())).await {
                Answer::Sync(page) => page,
                other => panic!("not a sync: {other:?}"),
            };
            left |= page.left.contains(&self.written.channel());
            let mut summaries = page.channels.into_iter();
            listed = listed.or(summaries.find(|of| of.channel == self.written.channel()));
            if page.page.is_none() {
                return (listed, left);
            }
            query.page = page.page;
        }
        panic!("a sync never ends");
    }

    async fn lists(&self) {
        let channel = self.written.channel();
        let marks = match self
            .answer(ClientOp::Receipts(ReceiptsQuery { channel }))
            .await
        {
            Answer::Receipts(receipts) => receipts.marks,
            other => panic!("not receipts: {other:?}"),
        };
        let head = self.written.head().seq;
        assert!(marks.iter().all(|mark| mark.read <= head), "{marks:?}");
        let summary = self.engine.channel(&self.caller, channel).await;
        let summary = summary.unwrap_or_else(|error| panic!("the channel: {error:?}"));
        assert_eq!(summary.head, self.written.head());
        assert_eq!(self.members().await, self.written.member_ids());
    }

    async fn members(&self) -> Vec<UserId> {
        let mut members: Vec<UserId> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = members.last().cloned();
            let channel = self.written.channel();
            let page = self.engine.members(&self.caller, channel, after, Some(50));
            let page = page
                .await
                .unwrap_or_else(|error| panic!("members: {error:?}"));
            members.extend(page.members.into_iter().map(|(user, _)| user));
            if !page.more {
                return members;
            }
        }
        panic!("the list of members never ends");
    }

    async fn pull(&self, query: PullQuery) -> PullAnswer {
        match self.answer(ClientOp::Pull(query)).await {
            Answer::Pull(page) => page,
            other => panic!("not a page: {other:?}"),
        }
    }

    /// The answer, which a client can read.
    async fn answer(&self, op: ClientOp) -> Answer {
        let asked = format!("{op:?}");
        let answer = self.engine.run(&self.caller, op).await;
        let answer = answer.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        can_be_read(&answer);
        answer
    }
}

/// What was written comes back: read and written again it is the same.
fn can_be_read(answer: &Answer) {
    let frame = |answer| encode(Format::Json, &ServerFrame::Ok { id: 7, answer });
    let bytes = frame(answer.clone());
    let received = decode_server(Format::Json, bytes.clone());
    let Ok(ReceivedFrame::Ok { id: 7, answer: raw }) = received else {
        panic!("a client cannot read {answer:?}: {received:?}");
    };
    let read = match answer {
        Answer::Sync(_) => raw.read::<SyncAnswer>().map(Answer::Sync),
        Answer::Pull(_) => raw.read::<PullAnswer>().map(Answer::Pull),
        Answer::History(_) => raw.read::<HistoryAnswer>().map(Answer::History),
        Answer::Receipts(_) => raw.read().map(Answer::Receipts),
        other => panic!("nobody asked for {other:?}"),
    };
    let read = read.unwrap_or_else(|error| panic!("a client cannot read {answer:?}: {error:?}"));
    assert!(
        frame(read) == bytes,
        "a client reads something else: {answer:?}"
    );
}
