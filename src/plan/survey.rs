//! Which readings show what lives in the workspaces of a job: page after page of their lists, as far as
//! that is cheaper than reading single workflows.

use std::collections::{HashMap, VecDeque};

use crate::model::outcome::Failure;
use crate::model::reading::{FURTHEST, Of, PAGE, Page, Reading};
use crate::model::target::{LaneId, Workspace};

/// The lists of a survey.
#[derive(Debug, Default)]
pub struct Survey {
    lanes: Vec<VecDeque<Reading>>,
    places: HashMap<(LaneId, Workspace), Place>,
    /// Whether the number of workflows is wanted, even where one row would do with less.
    wants_totals: bool,
}

/// A workspace.
#[derive(Debug, Default)]
struct Place {
    /// Rows that are about it; none where all of it is wanted.
    rows: Option<u64>,
    /// Lists that are not at their end yet.
    open: u32,
    /// Part of it was not listed, and why.
    incomplete: Option<String>,
    /// Workflows in it, as its list says.
    total: Option<u64>,
}

impl Survey {
    /// The number of workflows is wanted in each workspace.
    pub fn count_all(&mut self) {
        self.wants_totals = true;
    }

    /// `workspace`, which leaves by `lane`, is to be read, because of `rows` rows or as a whole.
    pub fn add(&mut self, lane: LaneId, workspace: &Workspace, rows: Option<u64>) {
        let place = self.places.entry((lane, workspace.clone())).or_default();
        place.rows = rows;
        if rows == Some(1) && !self.wants_totals {
            place.incomplete = Some("a single row is read by itself".to_owned());
            return;
        }
        self.list(lane, workspace, Page::default());
    }

    fn list(&mut self, lane: LaneId, workspace: &Workspace, page: Page) {
        if let Some(place) = self.places.get_mut(&(lane, workspace.clone())) {
            place.open += 1;
        }
        self.ask(lane, workspace, page);
    }

    fn ask(&mut self, lane: LaneId, workspace: &Workspace, page: Page) {
        if self.lanes.len() <= lane.0 {
            self.lanes.resize_with(lane.0 + 1, VecDeque::new);
        }
        self.lanes[lane.0].push_back(Reading {
            lane,
            workspace: workspace.clone(),
            of: Of::Page(page),
        });
    }

    /// The next reading by `lane`.
    pub fn next(&mut self, lane: LaneId) -> Option<Reading> {
        self.lanes.get_mut(lane.0)?.pop_front()
    }

    /// Whether all of `workspace` was listed.
    pub fn is_complete(&self, lane: LaneId, workspace: &Workspace) -> bool {
        let place = self.places.get(&(lane, workspace.clone()));
        place.is_some_and(|place| place.open == 0 && place.incomplete.is_none())
    }

    /// Why not all of `workspace` was listed.
    pub fn why_incomplete(&self, lane: LaneId, workspace: &Workspace) -> Option<&str> {
        let place = self.places.get(&(lane, workspace.clone()));
        place?.incomplete.as_deref()
    }

    /// How many workflows live in all of them; none if a list did not say.
    pub fn living(&self) -> Option<u64> {
        self.places.values().map(|place| place.total).sum()
    }

    /// The page of `reading` held `count` workflows, of `total`.
    pub fn found(&mut self, reading: &Reading, page: Page, count: u64, total: Option<u64>) {
        let Some(place) = self
            .places
            .get_mut(&(reading.lane, reading.workspace.clone()))
        else {
            return;
        };
        // A service that counts fewer than it shows does not count.
        let total = total.filter(|total| *total >= page.offset + count);
        if page.enabled.is_none() && !page.from_the_end {
            let found = total.unwrap_or(page.offset + count);
            place.total = place.total.max(Some(found));
        }
        let offset = page.offset + count;
        // From the other end only what the first pages did not reach is wanted.
        let reached = if page.from_the_end {
            FURTHEST + PAGE
        } else {
            0
        };
        let wanted = total.map(|total| total.saturating_sub(reached));
        if count == 0 || wanted.is_some_and(|wanted| offset >= wanted) {
            place.open -= 1;
            if wanted.is_some_and(|wanted| offset < wanted) {
                place.incomplete = Some("its list ended before its end".to_owned());
            }
            return;
        }
        let left = wanted.map_or(1, |wanted| (wanted - offset).div_ceil(PAGE));
        if place.rows.is_some_and(|rows| rows < left) {
            place.open -= 1;
            place.incomplete = Some("fewer rows than pages".to_owned());
            return;
        }
        let (lane, workspace) = (reading.lane, &reading.workspace);
        if offset <= FURTHEST {
            return self.ask(lane, workspace, Page { offset, ..page });
        }
        let from_the_end = Page {
            offset: 0,
            from_the_end: true,
            ..page
        };
        let by_the_end =
            !page.from_the_end && total.is_none_or(|total| total <= 2 * (FURTHEST + PAGE));
        match page.enabled {
            _ if by_the_end => self.ask(lane, workspace, from_the_end),
            None => {
                place.open -= 1;
                for enabled in [true, false] {
                    let page = Page {
                        enabled: Some(enabled),
                        ..Page::default()
                    };
                    self.list(lane, workspace, page);
                }
            }
            Some(_) if !page.from_the_end => self.ask(lane, workspace, from_the_end),
            Some(_) => {
                place.open -= 1;
                place.incomplete = Some("it holds more workflows than its lists reach".to_owned());
            }
        }
    }

    /// The page of `reading` could not be read.
    pub fn failed(&mut self, reading: &Reading, failure: &Failure) {
        if let Some(place) = self
            .places
            .get_mut(&(reading.lane, reading.workspace.clone()))
        {
            place.open = place.open.saturating_sub(1);
            place.incomplete = Some(failure.message.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Id;

    fn workspace() -> Workspace {
        Workspace {
            project_id: Id::parse("p").unwrap(),
            workspace_id: Id::parse("s").unwrap(),
        }
    }

    #[test]
    fn a_total_that_is_less_than_what_is_shown_is_not_believed() {
        for told in [Some(0), Some(50), None] {
            let mut survey = Survey::default();
            survey.add(LaneId(0), &workspace(), None);
            for count in [100, 40, 0] {
                let reading = survey.next(LaneId(0)).unwrap();
                let Of::Page(page) = reading.of else {
                    panic!("{reading:?}")
                };
                assert!(!survey.is_complete(LaneId(0), &workspace()));
                survey.found(&reading, page, count, told);
            }
            assert_eq!(survey.next(LaneId(0)), None);
            assert!(survey.is_complete(LaneId(0), &workspace()));
            assert_eq!(survey.living(), Some(140), "{told:?}");
        }
    }

    /// Reads a workspace in which every other one of `count` workflows is enabled; gives the
    /// requests, which of them were seen, and whether that is said to be all.
    fn read(count: u64, rows: Option<u64>) -> (u64, usize, bool) {
        let mut survey = Survey::default();
        survey.add(LaneId(0), &workspace(), rows);
        let (mut requests, mut seen) = (0, std::collections::HashSet::new());
        while let Some(reading) = survey.next(LaneId(0)) {
            let Of::Page(page) = reading.of else {
                panic!("{reading:?}")
            };
            requests += 1;
            assert!(page.offset <= FURTHEST);
            let asked = |number: &u64| page.enabled.is_none_or(|on| on == number.is_multiple_of(2));
            let mut all: Vec<_> = (0..count).filter(asked).collect();
            if page.from_the_end {
                all.reverse();
            }
            let total = all.len() as u64;
            let page_of = all
                .into_iter()
                .skip(page.offset as usize)
                .take(PAGE as usize);
            let found: Vec<_> = page_of.collect();
            survey.found(&reading, page, found.len() as u64, Some(total));
            seen.extend(found);
        }
        (
            requests,
            seen.len(),
            survey.is_complete(LaneId(0), &workspace()),
        )
    }

    #[test]
    fn a_list_costs_a_request_for_each_hundred_workflows() {
        for (count, requests) in [(0, 1), (1, 1), (100, 1), (101, 2), (5_000, 50)] {
            assert_eq!(
                read(count, None),
                (requests, count as usize, true),
                "{count}"
            );
        }
    }

    #[test]
    fn what_lies_beyond_the_furthest_page_is_read_from_the_other_end_or_in_two_lists() {
        assert_eq!(read(10_100, None), (101, 10_100, true));
        assert_eq!(read(15_000, None), (150, 15_000, true));
        let (_, seen, complete) = read(30_000, None);
        assert_eq!((seen, complete), (30_000, true));
        assert!(!read(50_000, None).2, "nothing reaches all of them");
    }

    #[test]
    fn few_rows_are_read_by_themselves() {
        assert_eq!(read(5_000, Some(1)), (0, 0, false));
        assert_eq!(read(5_000, Some(20)), (1, 100, false));
        assert_eq!(read(150, Some(2)), (2, 150, true));
    }
}
