//! hosts.allow and hosts.deny against several clients and name services: nothing breaks, nothing takes long, and a table that is cut off
//! grants nothing that the whole does not.

use super::hosts::Resolver;
use super::{Answer, Files, Query, decide};
use crate::place::Place;
use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};

/// A name service with one answer.
struct Fake(Option<&'static str>, Vec<IpAddr>);

impl Resolver for Fake {
    fn name(&self, _: IpAddr) -> Option<String> {
        self.0.map(str::to_owned)
    }

    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        self.1.clone()
    }
}

thread_local! {
    static PLACE: OnceCell<Place> = const { OnceCell::new() };
}

/// Both tables, parted by a zero byte.
pub fn run(data: &[u8]) {
    PLACE.with(|place| judge(place.get_or_init(Place::new), data));
}

fn judge(place: &Place, data: &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(data.len());
    let (allow, deny) = data.split_at(at);
    let allow = place.write("allow", allow);
    let deny = place.write("deny", deny.get(1..).unwrap_or_default());
    let files = Files {
        allow: allow.to_str().unwrap(),
        deny: deny.to_str().unwrap(),
    };
    let clients = [
        "192.168.24.7",
        "10.0.0.1",
        "2001:db8::7",
        "::ffff:127.0.0.1",
    ];
    for (number, client) in clients.iter().enumerate() {
        let client: IpAddr = client.parse().unwrap();
        let fake = match number {
            0 => Fake(Some("box.example.org"), vec![client]),
            1 => Fake(None, Vec::new()),
            2 => Fake(Some("liar.example.org"), Vec::new()),
            _ => Fake(Some("localhost"), vec![client]),
        };
        let query = Query {
            daemon: "vsftpd",
            client: SocketAddr::new(client, 5000),
            server: SocketAddr::new(client, 21),
        };
        let decision = decide(&query, &files, &fake);
        assert_eq!(decision, decide(&query, &files, &fake));
        // Nobody is turned away, or let in by name, without a rule.
        if decision.answer == Answer::Denied {
            assert!(decision.rule.is_some());
        }
        let _ = decision.variable(b"VSFTPD_LOAD_CONF");
    }
}
