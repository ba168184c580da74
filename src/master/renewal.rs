//! A host name in `pasv_address`, looked up again from time to time by a child that master does not wait for; master.

use crate::helper::Prepared;
use crate::reader::{self, Ours};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long the name service may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// When to ask, or until when an answer is waited for.
#[derive(Debug, Default)]
pub struct Renewal {
    due: Option<Instant>,
    /// The child's, which ends with it.
    asked: Option<Ours>,
    /// The last answer was none, which was said.
    failing: bool,
}

impl Renewal {
    /// For these settings, which have just come into force; what was asked for others is given up.
    pub fn new(prepared: &Prepared) -> Self {
        let mut renewal = Self::default();
        renewal.plan(prepared);
        renewal
    }

    fn plan(&mut self, prepared: &Prepared) {
        let interval = prepared.config().pasv_addr_resolve_interval;
        let wanted = interval > 0 && prepared.passive_name().is_some();
        let next = Instant::now().checked_add(Duration::from_secs(interval.into()));
        self.due = next.filter(|_| wanted);
    }

    /// What is to be waited on for an answer.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.asked.as_ref().map(Ours::as_fd)
    }

    /// When it is to be looked after at the latest.
    pub fn until(&self) -> Option<Instant> {
        self.due
    }

    /// Asks if it is time, takes an answer if there is one, and gives up one that does not come.
    #[inline(never)]
    pub fn turn(&mut self, prepared: &mut Prepared, answered: bool) {
        if !answered && self.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        let result = match (self.asked.take(), answered) {
            (Some(mut asked), true) => prepared.answer_passive(reader::passive(&mut asked)),
            (Some(_), false) => Err("the name service does not answer".to_owned()),
            (None, _) => match prepared.ask_passive() {
                Ok(channel) => {
                    self.asked = Some(channel);
                    self.due = Instant::now().checked_add(PATIENCE);
                    return;
                }
                Err(error) => Err(error.to_string()),
            },
        };
        self.settle(prepared, result);
        self.plan(prepared);
    }

    /// Says what has changed: a failure once, until there is an answer again.
    fn settle(&mut self, prepared: &Prepared, result: Result<bool, String>) {
        let name = prepared.passive_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let address = prepared.config().pasv_address.as_deref();
        let address = address.unwrap_or_default().to_string_lossy();
        match result {
            Ok(true) => log::info!("pasv_address: {name} is {address} now; new sessions tell it"),
            Ok(false) if self.failing => log::info!("pasv_address: {name} is {address} still"),
            Ok(false) => {}
            Err(ref why) if !self.failing => log::error!(
                "cannot resolve host:{name} (pasv_address: {why}); {address} stays, and it is asked for again every {} s",
                prepared.config().pasv_addr_resolve_interval
            ),
            Err(_) => {}
        }
        self.failing = result.is_err();
    }
}
