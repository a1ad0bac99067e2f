//! How far a run is, and the texts that say so. Pure: the bar and the lines draw them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::event::{Event, Leg, Pause, Stamped};
use crate::model::span;
use crate::model::tally::Tally;
use crate::model::target::LaneId;

/// Over how long the rate is taken.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// How far a run is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    tally: Tally,
    /// Instants at which rows ended, of the last ten seconds, and how many, second by second.
    recent: VecDeque<(Timestamp, u64)>,
    /// Since when rows are sent without a break.
    started: Option<Timestamp>,
    /// Rows that this session still takes up, if it resumes a run.
    left: Option<u64>,
    now: Option<Timestamp>,
    /// Lanes that pause, why, and until when at most.
    paused: BTreeMap<LaneId, (Pause, Timestamp)>,
    stopping: bool,
    /// Workflows that were read, while the live state is.
    reading: Option<u64>,
}

/// What can be said at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Glance {
    /// Rows with a result.
    pub done: u64,
    /// Rows to do.
    pub total: u64,
    /// Confirmed, or already as wanted.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// In conflict.
    pub conflict: u64,
    /// Sent, without a usable answer.
    pub unknown: u64,
    /// Waiting to go again.
    pub retrying: u64,
    /// Rows a second, now.
    pub rate: f64,
    /// Seconds until the rest is done, at this rate.
    pub eta_s: Option<u64>,
    /// When requests leave again.
    pub throttled_until: Option<Timestamp>,
    /// The service does not answer; probes only.
    pub outage: bool,
    /// No new request starts.
    pub stopping: bool,
    /// Workflows that were read so far, while the live state is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<u64>,
}

impl Progress {
    /// The progress of a run that earlier sessions have brought as far as `tally`.
    pub fn from(tally: Tally) -> Self {
        Self {
            tally,
            ..Self::default()
        }
    }

    /// Takes an event into account.
    pub fn see(&mut self, stamped: &Stamped) {
        self.tally.see(&stamped.event);
        self.now = Some(stamped.at);
        match &stamped.event {
            Event::RunStarted(_) | Event::SessionStarted(_) => {
                if let Event::SessionStarted(session) = &stamped.event {
                    self.left = Some(session.rows);
                }
                self.started = Some(stamped.at);
                self.stopping = false;
                self.paused.clear();
            }
            Event::RowEnded { .. } => {
                self.left = self.left.map(|left| left.saturating_sub(1));
                match self.recent.back_mut() {
                    Some((at, count)) if stamped.at.duration_since(*at) < TENTH => *count += 1,
                    Some(_) | None => self.recent.push_back((stamped.at, 1)),
                }
            }
            Event::LanePaused {
                lane, why, wait_ms, ..
            } => {
                let wait = SignedDuration::from_millis(i64::try_from(*wait_ms).unwrap_or(i64::MAX));
                let until = stamped.at.checked_add(wait).unwrap_or(Timestamp::MAX);
                self.paused.insert(*lane, (*why, until));
            }
            Event::LaneResumed { lane } | Event::LaneClosed { lane, .. } => {
                self.paused.remove(lane);
            }
            Event::Stop { .. } => self.stopping = true,
            Event::LegStarted {
                leg: Leg::Survey | Leg::Verification,
                ..
            } => {
                self.reading.get_or_insert_default();
            }
            Event::LegStarted { leg: Leg::Rows, .. } => {
                self.reading = None;
                // Neither what was read, nor rows that ended by the plan, nor a question says anything about the pace.
                self.started = Some(stamped.at);
                self.recent.clear();
            }
            Event::Asked { .. } => {
                self.started = Some(stamped.at);
                self.recent.clear();
            }
            Event::Read { found, .. } => {
                if let Some(reading) = &mut self.reading {
                    *reading += found;
                }
            }
            Event::WorkspaceNamed { .. }
            | Event::RateChanged { .. }
            | Event::Planned(_)
            | Event::Proven { .. }
            | Event::Suspected { .. }
            | Event::Attempt { .. }
            | Event::Answer { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::WaveEnded(_)
            | Event::StageLeft(_)
            | Event::Approved(_)
            | Event::SessionEnded { .. } => {}
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = Some(now);
        while self
            .recent
            .pop_front_if(|(at, _)| now.duration_since(*at) > WINDOW)
            .is_some()
        {}
    }

    /// What can be said now.
    pub fn glance(&self) -> Glance {
        let tally = &self.tally;
        let total = tally.rows.saturating_sub(tally.skipped);
        let done = tally.ended();
        let rate = self.rate();
        let left = self.left.unwrap_or(total.saturating_sub(done));
        let eta = (rate > 0.0 && left > 0).then(|| (left as f64 / rate).ceil() as u64);
        Glance {
            done,
            total,
            ok: tally.succeeded + tally.unchanged,
            failed: tally.failed,
            conflict: tally.conflict,
            unknown: tally.unknown,
            retrying: tally.retrying,
            rate: (rate * 10.0).round() / 10.0,
            eta_s: eta,
            throttled_until: self.paused_by(Pause::Throttled).max(),
            outage: self.paused_by(Pause::Outage).next().is_some(),
            stopping: self.stopping,
            reading: self.reading,
        }
    }

    /// Until when lanes pause for that reason.
    fn paused_by(&self, why: Pause) -> impl Iterator<Item = Timestamp> {
        let paused = self.paused.values();
        paused.filter_map(move |(because, until)| (*because == why).then_some(*until))
    }

    fn rate(&self) -> f64 {
        let (Some(now), Some(started)) = (self.now, self.started) else {
            return 0.0;
        };
        let span = now.duration_since(started).min(WINDOW).as_secs_f64();
        let count: u64 = self.recent.iter().map(|(_, count)| count).sum();
        if span > 0.0 { count as f64 / span } else { 0.0 }
    }
}

/// Rows that end within this time are counted together.
const TENTH: SignedDuration = SignedDuration::from_millis(100);

impl Glance {
    /// The text behind the bar: `120/300  24.9/s  ok 118  failed 2  retrying 3  eta 8s`.
    pub fn bar_text(&self, zone: &TimeZone) -> String {
        if let Some(read) = self.reading {
            return format!(
                "reading the live state: {read} workflows{}",
                self.state_text(zone)
            );
        }
        let mut text = format!(
            "{}/{}  {:.1}/s  ok {}",
            self.done, self.total, self.rate, self.ok
        );
        for (count, what) in [
            (self.failed, "failed"),
            (self.conflict, "conflict"),
            (self.unknown, "unknown"),
            (self.retrying, "retrying"),
        ] {
            if count > 0 {
                text += &format!("  {what} {count}");
            }
        }
        text + &self.state_text(zone)
    }

    /// What holds the run up, or how long it will take.
    fn state_text(&self, zone: &TimeZone) -> String {
        if self.stopping {
            return "  stopping".to_owned();
        }
        if self.outage {
            return "  no answer, probing".to_owned();
        }
        match (self.throttled_until, self.eta_s) {
            (Some(until), _) => {
                let local = until.to_zoned_datetime(zone.clone());
                format!("  throttled until {}", local.strftime("%H:%M:%S"))
            }
            (None, Some(eta)) => format!("  eta {}", span::show(Duration::from_secs(eta))),
            (None, None) => String::new(),
        }
    }

    /// One line for a log that nobody watches live.
    pub fn plain_text(&self, zone: &TimeZone) -> String {
        let percent = (self.done * 100).checked_div(self.total).unwrap_or(100);
        format!("progress: {percent}%  {}", self.bar_text(zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{SessionStarted, WasEnded};
    use crate::model::outcome::{Outcome, Status};

    const GLANCE: Glance = Glance {
        done: 120,
        total: 300,
        ok: 118,
        failed: 2,
        conflict: 0,
        unknown: 0,
        retrying: 3,
        rate: 24.9,
        eta_s: Some(8),
        throttled_until: None,
        outage: false,
        stopping: false,
        reading: None,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen(progress: &mut Progress, events: impl IntoIterator<Item = (i64, Event)>) {
        for (second, event) in events {
            let at = at(second);
            progress.see(&Stamped { at, event });
        }
    }

    fn ended(row: u64, status: Status, was: Option<Status>) -> Event {
        let outcome = Outcome::without_requests(status);
        let replaces = was.map(|was| WasEnded::from(&Outcome::without_requests(was)));
        Event::RowEnded {
            row,
            outcome,
            replaces,
        }
    }

    #[test]
    fn a_resumption_shows_the_whole_run_and_forgets_no_row_of_its_own() {
        let mut earlier = Tally::default();
        (earlier.rows, earlier.succeeded, earlier.unknown) = (10, 4, 2);
        let mut progress = Progress::from(earlier);
        let session = SessionStarted {
            session: 2,
            operator: String::new(),
            tool_version: String::new(),
            lanes: Vec::new(),
            seed: 0,
            rows: 6,
        };
        let rows = Event::LegStarted {
            leg: Leg::Rows,
            wave: None,
        };
        let unknown = Some(Status::Unknown);
        seen(
            &mut progress,
            [
                (0, Event::SessionStarted(session)),
                (60, rows),
                (61, ended(1, Status::Unknown, unknown)),
                (62, ended(2, Status::Failed, unknown)),
                (63, ended(3, Status::Succeeded, None)),
            ],
        );
        let glance = progress.glance();
        assert_eq!((glance.done, glance.total, glance.ok), (7, 10, 5));
        assert_eq!((glance.failed, glance.conflict, glance.unknown), (1, 0, 1));
        // Three rows in three seconds, three are left; the minute of reading is no time for rows.
        assert_eq!((glance.rate, glance.eta_s), (1.0, Some(3)));
    }

    #[test]
    fn the_time_at_a_question_slows_nothing_down_and_lanes_pause_by_themselves() {
        let mut progress = Progress::default();
        let paused = |lane, wait_ms| Event::LanePaused {
            lane: LaneId(lane),
            why: Pause::Throttled,
            wait_ms,
            message: String::new(),
        };
        let asked = Event::Asked { waited_ms: 50_000 };
        seen(
            &mut progress,
            [
                (0, asked.clone()),
                (50, asked),
                (52, ended(1, Status::Succeeded, None)),
                (52, paused(0, 9_000)),
                (52, paused(1, 2_000)),
            ],
        );
        assert_eq!(progress.glance().rate, 0.5);
        assert_eq!(progress.glance().throttled_until, Some(at(61)));
        let lane = LaneId(0);
        seen(&mut progress, [(53, Event::LaneResumed { lane })]);
        assert_eq!(progress.glance().throttled_until, Some(at(54)));
    }

    #[test]
    fn a_glance_says_how_far_how_fast_and_what_holds_it_up() {
        let utc = TimeZone::UTC;
        assert_eq!(
            GLANCE.bar_text(&utc),
            "120/300  24.9/s  ok 118  failed 2  retrying 3  eta 8s"
        );
        let until = "2026-11-24T08:31:05Z".parse().ok();
        let throttled = Glance {
            throttled_until: until,
            failed: 0,
            retrying: 0,
            ..GLANCE
        };
        assert_eq!(
            throttled.bar_text(&utc),
            "120/300  24.9/s  ok 118  throttled until 08:31:05"
        );
        let outage = Glance {
            outage: true,
            ..GLANCE
        };
        assert!(
            outage
                .plain_text(&utc)
                .starts_with("progress: 40%  120/300")
        );
        assert!(outage.plain_text(&utc).ends_with("no answer, probing"));
        let reading = Glance {
            reading: Some(700),
            eta_s: None,
            ..GLANCE
        };
        assert_eq!(
            reading.bar_text(&utc),
            "reading the live state: 700 workflows"
        );
    }
}
