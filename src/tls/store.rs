//! The TLS sessions of one FTP session, and of no other: what a data connection must resume; greeter fills it, worker goes on with it.

use rustls::server::StoresServerSessions;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What the control connection may leave: four tickets of TLS 1.3, or one session of TLS 1.2.
const CONTROL: usize = 8;
/// The tickets of data connections that are remembered; the control connection's never make room for them.
const LATER: usize = 32;

/// A session's name and its secrets.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The sessions made on the control connection. None is ever resumed on another control connection.
#[derive(Debug, Default)]
pub struct Made(Mutex<Vec<Entry>>);

impl Made {
    /// Takes them out.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl StoresServerSessions for Made {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= CONTROL {
            return false;
        }
        made.push((key, value));
        true
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// All sessions that a data connection may resume.
#[derive(Debug)]
pub struct Sessions {
    control: Vec<Entry>,
    later: Mutex<VecDeque<Entry>>,
}

impl Sessions {
    /// Those of the control connection.
    pub fn new(control: Vec<Entry>) -> Self {
        Self {
            control,
            later: Mutex::default(),
        }
    }

    fn find(&self, key: &[u8]) -> Option<Vec<u8>> {
        let same = |entry: &&Entry| entry.0 == key;
        let value = |entry: &Entry| entry.1.clone();
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        self.control
            .iter()
            .find(same)
            .map(value)
            .or_else(|| later.iter().find(same).map(value))
    }

    fn add(&self, entries: Vec<Entry>) {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            if later.len() >= LATER {
                later.pop_front();
            }
            later.push_back(entry);
        }
    }
}

/// What one data connection sees of the sessions. What it would add waits until it has proved itself, and where only proof admits it
/// (`require_ssl_reuse`), a stranger is not even given a ticket.
#[derive(Debug)]
pub struct Staged {
    base: Arc<Sessions>,
    strict: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: bool,
    waiting: Vec<Entry>,
}

impl Staged {
    /// For one data connection; `strict` where only a known client is given tickets.
    pub fn new(base: Arc<Sessions>, strict: bool) -> Self {
        Self {
            base,
            strict,
            state: Mutex::default(),
        }
    }

    /// The connection has proved itself: what it has added may be resumed from now on.
    pub fn commit(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.base.add(std::mem::take(&mut state.waiting));
    }
}

impl StoresServerSessions for Staged {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.strict && !state.known {
            return false;
        }
        state.waiting.push((key, value));
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let found = self.base.find(key)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.known = true;
        Some(found)
    }

    /// Leaves it there: lftp and Python offer the control connection's ticket for every transfer (packages.md §5.2). Nothing is
    /// accepted before the handshake has ended (no 0-RTT), so that offering one again gains an eavesdropper nothing.
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{CONTROL, LATER, Made, Sessions, Staged};
    use rustls::server::StoresServerSessions;
    use std::sync::Arc;

    #[test]
    fn a_stranger_gets_no_ticket_and_tickets_wait_for_proof() {
        let made = Made::default();
        assert!(made.put(vec![1], vec![10]) && made.get(&[1]).is_none());
        let base = Arc::new(Sessions::new(made.take()));
        let stranger = Staged::new(Arc::clone(&base), true);
        assert!(stranger.get(&[9]).is_none() && !stranger.put(vec![2], vec![20]));
        let friend = Staged::new(Arc::clone(&base), true);
        assert_eq!(friend.take(&[1]).unwrap(), [10]);
        assert_eq!(friend.take(&[1]).unwrap(), [10]);
        assert!(friend.put(vec![3], vec![30]) && base.find(&[3]).is_none());
        friend.commit();
        assert_eq!(base.find(&[3]).unwrap(), [30]);
    }

    #[test]
    fn a_control_connection_leaves_no_more_than_it_may() {
        let made = Made::default();
        let kept = (0..100).filter(|number| made.put(vec![*number], vec![0]));
        assert_eq!((kept.count(), made.take().len()), (CONTROL, CONTROL));
    }

    #[test]
    fn who_need_not_prove_itself_gets_tickets() {
        let base = Arc::new(Sessions::new(Vec::new()));
        let anybody = Staged::new(Arc::clone(&base), false);
        assert!(anybody.put(vec![2], vec![20]));
        anybody.commit();
        assert_eq!(base.find(&[2]).unwrap(), [20]);
    }

    #[test]
    fn the_control_connections_sessions_stay() {
        let base = Sessions::new(vec![(vec![1], vec![1])]);
        for number in 0..=u8::try_from(LATER).unwrap() {
            base.add(vec![(vec![2, number], vec![])]);
        }
        assert!(base.find(&[1]).is_some() && base.find(&[2, 0]).is_none());
        assert!(base.find(&[2, 1]).is_some());
    }
}
