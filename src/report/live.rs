//! The live display on a terminal: what runs now, drawn again in place below the lines of what is done.
//!
//! [`Board`] knows what is to be seen and is pure; [`Live`] draws it ten times a second. A step's output is shown as it
//! comes, its last lines only, and whole when the step fails.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::progress::Titles;
use super::table::{duration, one_line};
use crate::event::{Event, StepId};
use crate::process::OutputLine;
use crate::verdict::Verdict;
use crate::visible::{output_line, visible};

/// How many of a running step's last lines are shown.
const TAIL: usize = 3;
/// How many of its lines are kept, to be shown when it fails.
const KEPT: usize = 2000;
const PAUSE: Duration = Duration::from_millis(100);
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
/// Lines that are too long are cut by the terminal, whatever the width of their characters.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
const CLEAR_BELOW: &str = "\x1b[J";

/// What is to be seen of a build.
#[derive(Debug)]
struct Board {
    titles: Titles,
    begun: Instant,
    all: usize,
    over: usize,
    running: BTreeMap<StepId, Running>,
}

/// A step that was decided to run and has not ended.
#[derive(Debug, Default)]
struct Running {
    reasons: String,
    since: Option<Instant>,
    waits_for: Option<String>,
    lines: VecDeque<String>,
    dropped: usize,
}

impl Board {
    fn new(titles: Titles, now: Instant) -> Self {
        let all = titles.count();
        Self { titles, begun: now, all, over: 0, running: BTreeMap::new() }
    }

    /// Takes an event in, and returns the lines that stay.
    fn take(&mut self, event: &Event, now: Instant) -> Vec<String> {
        match event {
            Event::Decided { step, verdict, .. } if verdict.is_hit() => {
                self.running.remove(step);
                self.over += 1;
                self.titles.decided(*step, verdict)
            }
            Event::Decided { step, verdict, .. } => {
                let reasons = match verdict {
                    Verdict::Miss { .. } | Verdict::Open { .. } => verdict.to_string(),
                    Verdict::Hit { .. } => String::new(),
                };
                let reasons = reasons.split_once(": ").map(|(_, reasons)| reasons.to_owned());
                let reasons = reasons.unwrap_or_default();
                self.running.insert(*step, Running { reasons, ..Running::default() });
                Vec::new()
            }
            Event::Waiting { step, what } => {
                self.running.entry(*step).or_default().waits_for = Some(what.clone());
                Vec::new()
            }
            Event::Started { step, .. } => {
                let running = self.running.entry(*step).or_default();
                running.waits_for = None;
                running.since = Some(now);
                Vec::new()
            }
            Event::Output { step, line } => {
                let (OutputLine::Stdout(bytes) | OutputLine::Stderr(bytes)) = line;
                let running = self.running.entry(*step).or_default();
                running.lines.push_back(output_line(bytes, false));
                if running.lines.len() > KEPT {
                    running.lines.pop_front();
                    running.dropped += 1;
                }
                Vec::new()
            }
            Event::Ran { step, duration_ms, .. } => {
                self.over += 1;
                let running = self.running.remove(step).unwrap_or_default();
                self.titles.ran(*step, &duration(*duration_ms), &running.reasons)
            }
            Event::Failed { step } => {
                let running = self.running.remove(step).unwrap_or_default();
                let (label, _) = self.titles.label(*step);
                let label = self.titles.painted("2", &label);
                let mut lines = Vec::new();
                if running.dropped > 0 {
                    lines.push(format!("{label} … {} lines before", running.dropped));
                }
                lines.extend(running.lines.iter().map(|line| format!("{label} {line}")));
                lines.push(self.titles.failed(*step));
                lines
            }
            Event::Warning(text) => vec![self.titles.warning(text)],
            Event::StageDone { .. } => Vec::new(),
        }
    }

    /// The lines of what runs now, at most `rows`.
    fn drawn(&self, now: Instant, rows: usize) -> Vec<String> {
        if self.running.is_empty() || rows == 0 {
            return Vec::new();
        }
        let took = duration_of(now.duration_since(self.begun));
        let mut lines = vec![format!("building {took}, {} of {} steps done", self.over, self.all)];
        // Fewer lines of output where there are many steps.
        let room = rows.saturating_sub(1 + self.running.len()) / self.running.len();
        for (step, running) in &self.running {
            let (label, title) = self.titles.label(*step);
            let (label, title) = (self.titles.painted("1", &label), one_line(title, 100));
            let state = match (&running.waits_for, running.since) {
                (Some(what), _) => format!("waits for {}", visible(what)),
                (None, Some(since)) => format!("{:>6}", duration_of(now.duration_since(since))),
                (None, None) => "waits".to_owned(),
            };
            lines.push(format!("{label} {} {title}", self.titles.painted("36", &state)));
            let shown = running.lines.len().min(TAIL).min(room);
            let tail = running.lines.iter().skip(running.lines.len() - shown);
            lines.extend(tail.map(|line| self.titles.painted("2", &format!("    {line}"))));
        }
        lines.truncate(rows);
        lines
    }
}

/// Tenths of seconds are enough for what changes ten times a second.
fn duration_of(time: Duration) -> String {
    match time.as_millis() {
        0..60_000 => format!("{:.1}s", time.as_secs_f64()),
        _ => duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// What is drawn, and how many lines of it are to be drawn over.
struct Screen {
    board: Board,
    height: usize,
    ends: bool,
}

impl Screen {
    /// Draws anew, below lines that stay.
    fn draw(&mut self, stay: &[String]) {
        let rows = terminal_size::terminal_size_of(io::stderr()).map_or(24, |(_, rows)| usize::from(rows.0));
        let now = self.board.drawn(Instant::now(), rows.saturating_sub(1).min(rows * 2 / 3));
        if stay.is_empty() && now.is_empty() && self.height == 0 {
            return;
        }
        let mut out = String::new();
        if self.height > 0 {
            out.push_str(&format!("\x1b[{}A", self.height));
        }
        out.push('\r');
        out.push_str(CLEAR_BELOW);
        for line in stay {
            out.push_str(line);
            out.push('\n');
        }
        if !now.is_empty() {
            out.push_str(HIDE_CURSOR);
            out.push_str(NO_WRAP);
            for line in &now {
                out.push_str(line);
                out.push('\n');
            }
            out.push_str(WRAP);
            out.push_str(SHOW_CURSOR);
        }
        self.height = now.len();
        let mut stderr = io::stderr().lock();
        // Talk that nobody can see must not end a build.
        let _ = stderr.write_all(out.as_bytes()).and_then(|()| stderr.flush());
    }
}

/// The display; gone when dropped.
pub struct Live {
    shared: Arc<(Mutex<Screen>, Condvar)>,
    ticker: Option<thread::JoinHandle<()>>,
}

fn locked(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// A display of the steps with these titles.
    pub fn new(titles: Titles) -> Self {
        let board = Board::new(titles, Instant::now());
        let screen = Mutex::new(Screen { board, height: 0, ends: false });
        let shared = Arc::new((screen, Condvar::new()));
        let ticking = Arc::clone(&shared);
        // Without it, the display moves when something happens.
        let ticker = thread::Builder::new().name("display".into()).spawn(move || tick(&ticking)).ok();
        Self { shared, ticker }
    }

    /// Shows an event.
    pub fn show(&self, event: &Event) {
        let mut screen = locked(&self.shared.0);
        let stay = screen.board.take(event, Instant::now());
        // The lines of a command that prints much are drawn with the next tick.
        if !matches!(event, Event::Output { .. }) || self.ticker.is_none() {
            screen.draw(&stay);
        }
    }

    /// Shows lines that stay.
    pub fn line(&self, text: &str) {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        locked(&self.shared.0).draw(&lines);
    }
}

fn tick(shared: &(Mutex<Screen>, Condvar)) {
    let mut screen = locked(&shared.0);
    while !screen.ends {
        screen = shared.1.wait_timeout(screen, PAUSE).unwrap_or_else(PoisonError::into_inner).0;
        screen.draw(&[]);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        {
            let mut screen = locked(&self.shared.0);
            screen.ends = true;
            screen.board.running.clear();
            screen.draw(&[]);
        }
        self.shared.1.notify_all();
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageId;
    use crate::key::StepKey;
    use crate::verdict::{FoundBy, Reason};

    fn board(now: Instant) -> Board {
        let stages = vec![("a".to_owned(), vec!["COPY x y".to_owned(), "RUN make".to_owned()])];
        Board::new(Titles::new(stages, false), now)
    }

    fn decided(step: usize, verdict: Verdict) -> Event {
        let key = StepKey::parse(&"ab".repeat(32)).unwrap();
        Event::Decided { step: (0, step), verdict, key, image: None }
    }

    fn output(text: &str) -> Event {
        Event::Output { step: (0, 1), line: OutputLine::Stdout(text.as_bytes().to_vec()) }
    }

    #[test]
    fn hits_stay_as_lines_and_what_runs_is_drawn_with_its_last_lines() {
        let now = Instant::now();
        let mut board = board(now);
        let hit = decided(0, Verdict::Hit { by: FoundBy::Definition });
        assert_eq!(board.take(&hit, now), ["[a 1/2] CACHED COPY x y"]);
        let miss = decided(1, Verdict::Miss { reasons: vec![Reason::StepBefore] });
        assert_eq!(board.take(&miss, now), [""; 0]);
        board.take(&Event::Started { step: (0, 1), at: String::new() }, now);
        for text in ["one", "two", "thr\tee", "\x1b[31mred\x1b[0m\rfour"] {
            board.take(&output(text), now);
        }
        let later = now + Duration::from_millis(2300);
        assert_eq!(
            board.drawn(later, 20),
            [
                "building 2.3s, 1 of 2 steps done",
                "[a 2/2]   2.3s RUN make",
                "    two",
                "    thr    ee",
                "    four"
            ]
        );
        assert_eq!(board.drawn(later, 3).len(), 3, "a low terminal gets fewer lines");
        let image = ImageId::parse(&"0".repeat(64)).unwrap();
        let ran = board.take(&Event::Ran { step: (0, 1), image, duration_ms: 2300 }, later);
        assert_eq!(ran, ["[a 2/2] DONE 2.30s RUN make", "        because: the step before it runs"]);
        assert_eq!(board.drawn(later, 20), [""; 0]);
    }

    #[test]
    fn the_whole_output_of_a_step_that_fails_stays() {
        let now = Instant::now();
        let mut board = board(now);
        for n in 0..KEPT + 2 {
            board.take(&output(&n.to_string()), now);
        }
        let lines = board.take(&Event::Failed { step: (0, 1) }, now);
        assert_eq!(lines.len(), KEPT + 2);
        assert_eq!(lines[0], "[a 2/2] … 2 lines before");
        assert_eq!(lines[1], "[a 2/2] 2");
        assert_eq!(lines[KEPT + 1], "[a 2/2] FAILED RUN make");
    }
}
