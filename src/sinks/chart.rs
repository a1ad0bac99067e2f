//! Charts of a run as SVG: what was answered when, and how long answers took.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use crate::model::span;

use super::timeline::{Bucket, Timeline};

/// Of a chart, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 140.0;

/// Requests a second over time, by what came of them.
pub fn timeline_chart(timeline: &Timeline) -> Markup {
    let seconds = timeline.width.as_secs_f64();
    let most = timeline.buckets.iter().map(|bucket| bucket.answers()).max();
    let most = most.unwrap_or_default().max(1);
    let step = WIDTH / timeline.buckets.len().max(1) as f64;
    let length = timeline.length();
    let peak = format!("{:.0} a second", most as f64 / seconds);
    let label = format!(
        "Answers over time: {} in all, at most {peak}",
        span::show(length)
    );
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (index, bucket) in timeline.buckets.iter().enumerate() {
                (bars(index, *bucket, step, most))
            }
            @for at in &timeline.sessions {
                (mark(*at, length, "session"))
            }
            @for (at, _) in &timeline.limits {
                (mark(*at, length, "limit"))
            }
        }
        p.axis { span { "0" } span { "at most " (peak) } span { (span::show(length)) } }
    }
}

/// The bars of one span of time, one upon the other.
fn bars(index: usize, bucket: Bucket, step: f64, most: u64) -> Markup {
    let scale = HEIGHT / most as f64;
    let x = index as f64 * step;
    let mut top = HEIGHT;
    let mut parts = Vec::new();
    for (count, class) in [
        (bucket.good, "good"),
        (bucket.throttled, "throttled"),
        (bucket.failed, "failed"),
    ] {
        if count > 0 {
            let height = count as f64 * scale;
            top -= height;
            parts.push((top, height, class));
        }
    }
    let width = (step - 0.5).max(0.5);
    html! {
        @for (top, height, class) in parts {
            rect class=(class) x=(figure(x)) y=(figure(top)) width=(figure(width)) height=(figure(height)) {}
        }
    }
}

/// A line at an instant.
fn mark(at: Duration, length: Duration, class: &str) -> Markup {
    let share = at.as_secs_f64() / length.as_secs_f64().max(f64::MIN_POSITIVE);
    let x = figure(WIDTH * share.min(1.0));
    html! { line class=(class) x1=(x) x2=(x) y1="0" y2=(figure(HEIGHT)) {} }
}

/// How many answers took how long.
pub fn latency_chart(timeline: &Timeline) -> Markup {
    let steps = timeline.latency_steps();
    let most = steps.iter().map(|(_, count)| *count).max();
    let most = most.unwrap_or_default().max(1);
    let step = WIDTH / steps.len().max(1) as f64;
    let percentiles = percentiles(timeline);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
            aria-label=(format!("How long answers took: {percentiles}")) {
            @for (index, (_, count)) in steps.iter().enumerate() {
                @let height = *count as f64 / most as f64 * HEIGHT;
                rect.good x=(figure(index as f64 * step + 1.0)) y=(figure(HEIGHT - height))
                    width=(figure((step - 2.0).max(0.5))) height=(figure(height)) {}
            }
        }
        p.axis.even {
            @for (upper, _) in &steps { span { "≤ " (span::show(Duration::from_millis(*upper))) } }
        }
    }
}

/// `half within 52ms, 95 % within 120ms, 99 % within 1.4s, the longest 2s`
pub fn percentiles(timeline: &Timeline) -> String {
    let mut text = String::new();
    for (share, what) in [
        (0.5, "half within"),
        (0.95, "95 % within"),
        (0.99, "99 % within"),
        (1.0, "the longest"),
    ] {
        let Some(latency) = timeline.percentile(share) else {
            return "no answer".to_owned();
        };
        if !text.is_empty() {
            text.push_str(", ");
        }
        let _ = write!(
            text,
            "{what} {}",
            span::show(Duration::from_millis(latency))
        );
    }
    text
}

/// A number of a chart, to a tenth.
fn figure(number: f64) -> String {
    format!("{number:.1}")
}
