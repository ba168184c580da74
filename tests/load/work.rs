//! The tasks: what the clients do until their count or their time is up.

use crate::client::{Account, Session};
use crate::data::{Data, Way};
use crate::tally::{Outcome, side_by_side};
use crate::{Args, R, failed, tls};
use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Where the server's guests are, seen from here.
const ROOT: &str = "/srv/ftp";

fn fetch(session: &mut Session, command: &str, size: u64) -> R<u64> {
    let data = Data::open(session, command, Way::Passive)?;
    let count = data.discard(size, || false)?;
    session.reply(&["226", "250"])?;
    Ok(count)
}

/// Logins, each with its QUIT.
pub fn login(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    side_by_side(args, args.number("clients", 1), |_, clock, tally| {
        for turn in 0..args.number("each", u64::MAX) {
            if turn > 0 && clock.over() {
                break;
            }
            account.login()?.quit()?;
            tally.amount += 1.0;
        }
        Ok(())
    })
}

/// Downloads of the large file, in GiB.
pub fn bulk_get(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let size = fs::metadata(format!("{ROOT}/big"))?.len();
    side_by_side(args, args.number("clients", 1), |_, clock, tally| {
        let mut session = account.login()?;
        for turn in 0..args.number("each", 1) {
            if turn > 0 && clock.over() {
                break;
            }
            if fetch(&mut session, "RETR big", size)? + (32 << 10) < size {
                return failed("short download");
            }
            tally.amount += size as f64 / (1 << 30) as f64;
        }
        session.quit()
    })
}

/// Uploads of the large file, in GiB.
pub fn bulk_put(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let big = format!("{ROOT}/big");
    let size = fs::metadata(&big)?.len();
    side_by_side(args, args.number("clients", 1), |number, clock, tally| {
        let mut session = account.login()?;
        for turn in 0..args.number("each", 1) {
            if turn > 0 && clock.over() {
                break;
            }
            let name = format!("up/big{number}.{turn}");
            let data = Data::open(&mut session, &format!("STOR {name}"), Way::Passive)?;
            data.send(&File::open(&big)?, size, &mut session)?;
            let begin = Instant::now();
            if fs::metadata(format!("{ROOT}/{name}"))?.len() != size {
                return failed("short upload");
            }
            fs::remove_file(format!("{ROOT}/{name}"))?;
            tally.aside += begin.elapsed();
            tally.amount += size as f64 / (1 << 30) as f64;
        }
        session.quit()
    })
}

/// Small files, down or up.
pub fn files(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let name = args.text("name", "small");
    let content = fs::read(format!("{ROOT}/{name}"))?;
    let (way, up) = (Way::of(args), args.is("up"));
    let clients = args.number("clients", 4);
    let each = args.number("count", 1) / clients;
    side_by_side(args, clients, |number, clock, tally| {
        let mut session = account.login()?;
        let mut got = Vec::new();
        for turn in 0..each {
            if turn > 0 && clock.over() {
                break;
            }
            if up {
                let command = format!("STOR up/{number}.{turn}");
                let data = Data::open(&mut session, &command, way)?;
                data.send_bytes(&content, &mut session)?;
            } else {
                let data = Data::open(&mut session, &format!("RETR {name}"), way)?;
                if args.is("resumed") {
                    data.must_be_resumed()?;
                }
                data.read(&mut got)?;
                session.reply(&["226", "250"])?;
                if got != content {
                    return failed("a download differs from the file");
                }
            }
            tally.amount += 1.0;
        }
        session.quit()
    })
}

/// Listings of one directory.
pub fn list(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let count = args.number("entries", 100);
    let command = format!("{} d{count}", args.text("verb", "LIST"));
    side_by_side(args, args.number("clients", 1), |_, clock, tally| {
        let mut session = account.login()?;
        for turn in 0..args.number("each", 1) {
            if turn > 0 && clock.over() {
                break;
            }
            // A name has eleven letters and a line end.
            if fetch(&mut session, &command, 0)? < count * 12 {
                return failed("short listing");
            }
            tally.amount += 1.0;
        }
        session.quit()
    })
}

/// Whole visits: log in, look around, list, get, put, leave.
pub fn day(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let content = fs::read(format!("{ROOT}/small"))?;
    side_by_side(args, args.number("clients", 8), |number, clock, tally| {
        let mut got = Vec::new();
        for turn in 0..args.number("each", 1) {
            if turn > 0 && clock.over() {
                break;
            }
            let begin = Instant::now();
            let mut session = account.login()?;
            session.tell("CWD up", "250")?;
            session.tell("CWD ..", "250")?;
            fetch(&mut session, "LIST d100", 0)?;
            Data::open(&mut session, "RETR small", Way::Passive)?.read(&mut got)?;
            session.reply(&["226", "250"])?;
            let data = Data::open(
                &mut session,
                &format!("STOR up/m{number}.{turn}"),
                Way::Passive,
            )?;
            data.send_bytes(&content, &mut session)?;
            session.quit()?;
            tally.times.push(begin.elapsed().as_secs_f64());
            tally.amount += 1.0;
        }
        Ok(())
    })
}

/// How long a NOOP takes while eight sessions download; those yield the processor to the one that measures.
pub fn noop(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let size = fs::metadata(format!("{ROOT}/big"))?.len();
    let length = Duration::from_secs(args.number("length", 2));
    let over = AtomicBool::new(false);
    side_by_side(args, 9, |number, clock, tally| {
        let mut session = account.login()?;
        if number < 8 {
            // SAFETY: a call with three numbers, about the calling thread only.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
            while !over.load(Ordering::Relaxed) {
                let data = Data::open(&mut session, "RETR big", Way::Passive)?;
                data.discard(size, || over.load(Ordering::Relaxed))?;
                if !over.load(Ordering::Relaxed) {
                    session.reply(&["226"])?;
                }
            }
            return Ok(());
        }
        // The downloads are to be under way.
        thread::sleep(Duration::from_millis(200));
        let sample = || -> R<()> {
            while clock.begin.elapsed() < length {
                let begin = Instant::now();
                session.tell("NOOP", "200")?;
                tally.times.push(begin.elapsed().as_secs_f64());
                tally.amount += 1.0;
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        };
        let mut sample = sample;
        let done = sample();
        over.store(true, Ordering::Relaxed);
        done
    })
}

/// Full handshakes: a connection, AUTH TLS, QUIT.
pub fn handshake(args: &Args) -> R<Outcome> {
    let config = tls::client(tls::version(args))?;
    side_by_side(args, args.number("clients", 4), |_, clock, tally| {
        for turn in 0..args.number("each", u64::MAX) {
            if turn > 0 && clock.over() {
                break;
            }
            let mut session = Session::connect()?;
            session.secure(config.clone())?;
            session.quit()?;
            tally.amount += 1.0;
        }
        Ok(())
    })
}
