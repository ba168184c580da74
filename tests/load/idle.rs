//! Sessions that wait. Whoever started the task reads the server's memory between its two words, `warm` and `ready`, and
//! answers each with a line.

use crate::client::{Account, Session};
use crate::tally::{Outcome, own_cpu};
use crate::{Args, R, failed};
use std::io::{Write, stdin, stdout};
use std::thread;
use std::time::Instant;

fn meet(word: &str) -> R<()> {
    println!("{word}");
    stdout().flush()?;
    if stdin().read_line(&mut String::new())? == 0 {
        return failed("nobody reads the memory");
    }
    Ok(())
}

pub fn run(args: &Args) -> R<Outcome> {
    let account = Account::of(args)?;
    let count = args.number("count", 100);
    let openers = count.min(10);
    account.login()?.quit()?;
    meet("warm")?;
    let open = || -> R<Vec<Session>> { (0..count / openers).map(|_| account.login()).collect() };
    let sessions: R<Vec<Vec<Session>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..openers).map(|_| scope.spawn(open)).collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| failed("a client broke down"))
        });
        joined.collect()
    });
    let sessions = sessions?;
    meet("ready")?;
    let before = own_cpu()?;
    let begin = Instant::now();
    let mut times = Vec::new();
    for _ in 0..args.number("logins", 100) {
        let begin = Instant::now();
        let session = account.login()?;
        times.push(begin.elapsed().as_secs_f64());
        session.quit()?;
    }
    let outcome = Outcome {
        amount: times.len() as f64,
        wall: begin.elapsed().as_secs_f64(),
        client_cpu: own_cpu()? - before,
        server_cpu: None,
        times,
    };
    drop(sessions);
    Ok(outcome)
}
