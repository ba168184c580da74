//! What helper has until login and no longer: the sockets that all helpers share, one to master and one to the nursery.

use super::Session;
use super::ask::Nursery;
use super::toll::Toll;

/// Both of them, where they are.
pub struct Ways<'a> {
    /// What failed logins cost, and where they are told.
    pub toll: Toll<'a>,
    /// Where an auth is asked for.
    pub nursery: Nursery<'a>,
}

impl<'a> Ways<'a> {
    /// As master gave them to this session.
    pub fn of(session: &Session<'a>) -> Self {
        Self {
            toll: Toll::new(session.reports, session.counts),
            nursery: Nursery::new(session.nursery),
        }
    }

    /// Closes them: after login there is nothing to tell or to ask.
    pub fn close(self) {
        self.toll.close();
        self.nursery.close();
    }
}
