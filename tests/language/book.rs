//! A record in memory, which becomes durable as its disk pleases, and a reader of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use flowbatch::engine::ports::{Record, RecordError, Seq, Watcher};
use flowbatch::model::event::{Event, Method, Stamped};
use flowbatch::model::tally::Tally;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::pause;
use super::scenario::Disk;

/// What has been told so far, and how much of it is durable.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// In order.
    pub events: Vec<Stamped>,
    /// So many of them.
    pub durable: usize,
    /// The most that were not durable when an attempt was told.
    pub most_pending: usize,
    /// Whether an event was refused.
    pub failed: bool,
    /// The requests that are on record without an answer, by row: which and the how-manieth.
    pub open: HashMap<u64, (Method, u32)>,
}

/// A record in memory.
#[derive(Clone)]
pub(crate) struct Book {
    page: Arc<Mutex<Page>>,
    moved: Arc<Notify>,
    disk: Disk,
}

impl Book {
    /// An empty record; what is slow about its disk goes on behind the run's back.
    pub(crate) fn open(disk: Disk) -> Self {
        let book = Self {
            page: Arc::default(),
            moved: Arc::default(),
            disk,
        };
        let every = match disk {
            Disk::Quick | Disk::Full(_) | Disk::Cramped(_) => return book,
            Disk::Slow(every) | Disk::Failing(every, _) => every,
            Disk::Trailing(_) => Duration::from_secs(2),
        };
        let syncing = book.clone();
        tokio::spawn(async move {
            for time in 0.. {
                pause(every).await;
                let mut page = syncing.page();
                if matches!(disk, Disk::Failing(_, times) if times <= time) {
                    page.failed = true;
                    drop(page);
                    return syncing.moved.notify_one();
                }
                page.durable = page.events.len();
                drop(page);
                syncing.moved.notify_one();
            }
        });
        book
    }

    /// What has been told so far.
    pub(crate) fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap()
    }
}

impl Book {
    fn take(&self, event: &Stamped) -> Result<Seq, RecordError> {
        let mut page = self.page();
        if matches!(self.disk, Disk::Full(most) if page.events.len() >= most) {
            page.failed = true;
        }
        if page.failed {
            return Err(RecordError("no space left on device".into()));
        }
        if let Event::Attempt {
            row,
            method,
            request,
            ..
        } = event.event
        {
            page.most_pending = page.most_pending.max(page.events.len() - page.durable);
            page.open.insert(row, (method, request));
        }
        if let Event::Answer { row, .. } = event.event {
            page.open.remove(&row);
        }
        page.events.push(event.clone());
        let count = page.events.len();
        match self.disk {
            Disk::Quick | Disk::Full(_) | Disk::Cramped(_) => page.durable = count,
            Disk::Slow(_) | Disk::Failing(..) => {}
            Disk::Trailing(by) => page.durable = page.durable.max(count.saturating_sub(by)),
        }
        Ok(count as Seq)
    }
}

impl Record for Book {
    fn append(&mut self, events: &[Stamped]) -> Result<Seq, RecordError> {
        let mut last = 0;
        for event in events {
            last = self.take(event)?;
        }
        Ok(last)
    }

    fn make_room(&mut self, _requests: usize) -> Result<(), RecordError> {
        match self.disk {
            Disk::Cramped(most) if self.page().events.len() >= most => {
                Err(RecordError("no space left on device".into()))
            }
            Disk::Quick
            | Disk::Slow(_)
            | Disk::Trailing(_)
            | Disk::Full(_)
            | Disk::Cramped(_)
            | Disk::Failing(..) => Ok(()),
        }
    }

    fn durable(&self) -> Result<Seq, RecordError> {
        let page = self.page();
        match page.failed {
            true => Err(RecordError("input/output error".into())),
            false => Ok(page.durable as Seq),
        }
    }

    fn moved(&self) -> Arc<Notify> {
        Arc::clone(&self.moved)
    }
}

/// Reads along.
pub(crate) struct Reader {
    book: Book,
    /// What it was shown.
    pub seen: Vec<Stamped>,
    /// The live fold of it.
    pub tally: Tally,
    /// How many of the events it was shown before they were durable.
    pub early: usize,
}

impl Reader {
    /// A reader of `book`.
    pub(crate) fn of(book: &Book) -> Self {
        Self {
            book: book.clone(),
            seen: Vec::new(),
            tally: Tally::default(),
            early: 0,
        }
    }
}

impl Watcher for Reader {
    fn see(&mut self, event: &Stamped) {
        self.tally.see(&event.event);
        self.seen.push(event.clone());
        self.early += usize::from(self.seen.len() > self.book.page().durable);
    }

    fn tick(&mut self, _now: Timestamp) {}
}
