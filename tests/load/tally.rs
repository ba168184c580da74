//! What the clients of one task did, and how it is told: amount, time, what the clients themselves cost, times of single acts.

use crate::{Args, Fault, R, failed};
use nix::sys::resource::{UsageWho, getrusage};
use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

/// One client's part.
#[derive(Default)]
pub struct Tally {
    /// What was done, in the unit of the task.
    pub amount: f64,
    /// Seconds of each single act, for tasks that are about them.
    pub times: Vec<f64>,
    /// Time that is not the server's: the client tidied up.
    pub aside: Duration,
}

/// All clients'.
pub struct Outcome {
    pub amount: f64,
    pub wall: f64,
    pub client_cpu: f64,
    /// Seconds of the server's processor, where the task itself is the server.
    pub server_cpu: Option<f64>,
    /// Seconds of each single act, or none.
    pub times: Vec<f64>,
}

impl Outcome {
    pub fn json(mut self) -> String {
        let mut text = format!(
            "{{\"amount\": {}, \"wall\": {:.6}, \"client_cpu\": {:.6}",
            self.amount, self.wall, self.client_cpu
        );
        if let Some(cpu) = self.server_cpu {
            let _ = write!(text, ", \"server_cpu\": {cpu:.6}");
        }
        if !self.times.is_empty() {
            self.times.sort_by(f64::total_cmp);
            for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
                let at = (self.times.len() as f64 * part) as usize;
                let value = self.times[at.min(self.times.len() - 1)];
                let _ = write!(text, ", \"{name}\": {value:.9}");
            }
        }
        text + "}"
    }
}

/// When the clients began, and when they had better stop.
#[derive(Clone, Copy)]
pub struct Clock {
    pub begin: Instant,
    until: Option<Instant>,
}

impl Clock {
    pub fn start(args: &Args) -> Self {
        let begin = Instant::now();
        let until = match args.number("seconds", 0) {
            0 => None,
            seconds => Some(begin + Duration::from_secs(seconds)),
        };
        Self { begin, until }
    }

    /// Is the time up? A task always does one round.
    pub fn over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Seconds of processor time of this process so far.
pub fn own_cpu() -> R<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Runs that many clients at once, each in a thread of its own.
pub fn side_by_side(
    args: &Args,
    clients: u64,
    work: impl Fn(u64, &Clock, &mut Tally) -> R<()> + Sync,
) -> R<Outcome> {
    let before = own_cpu()?;
    let clock = Clock::start(args);
    let work = &work;
    let parts: Vec<R<(Tally, f64)>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    work(number, &clock, &mut tally)?;
                    let took = clock.begin.elapsed().saturating_sub(tally.aside);
                    Ok((tally, took.as_secs_f64()))
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| failed("a client broke down"))
        });
        joined.collect()
    });
    let mut all = Outcome {
        amount: 0.0,
        wall: 0.0,
        client_cpu: own_cpu()? - before,
        server_cpu: None,
        times: Vec::new(),
    };
    for part in parts {
        let (tally, took) = part?;
        all.amount += tally.amount;
        all.wall = all.wall.max(took);
        all.times.extend(tally.times);
    }
    if all.amount == 0.0 {
        return Err(Fault::Failed("nothing was done".to_owned()));
    }
    Ok(all)
}
