//! Prints the fences of this kernel for `--sandbox-report`; runs in no server.

use crate::sys::seccomp::{List, Rights};
use crate::sys::{kernel, landlock};
use std::io::{self, Write};

/// Prints the fences of this kernel and every list.
///
/// # Errors
/// Standard output is closed.
pub fn report(out: &mut dyn Write) -> io::Result<()> {
    let yes = |is: bool| if is { "yes" } else { "no" };
    writeln!(
        out,
        "system call filter (seccomp): {}",
        yes(kernel::filters())
    )?;
    writeln!(out, "Landlock: version {}", kernel::landlock())?;
    for (since, what) in landlock::layers() {
        let here = kernel::confines_files() && kernel::landlock() >= since;
        writeln!(out, "  version {since}: {:3}  {what}", yes(here))?;
    }
    let all = Rights {
        upload: true,
        make: true,
        alter: true,
        chmod: true,
        publish: true,
        sync: true,
    };
    let worker = |rights, names| List::Worker { rights, names };
    let lists = [
        ("keyholder", List::Keyholder),
        ("reader of the settings", List::Reader),
        ("greeter, before login", List::Greeter { carries: false }),
        (
            "greeter with TLS, before and after login",
            List::Greeter { carries: true },
        ),
        ("helper, after login", List::Helper { gives: false }),
        ("helper, with chown_uploads", List::Helper { gives: true }),
        ("worker, read-only", worker(Rights::default(), false)),
        ("worker, with every right to write", worker(all, false)),
        (
            "worker that asks the host for names (text_userdb_names, tilde_user_enable)",
            worker(all, true),
        ),
    ];
    writeln!(
        out,
        "\nSystem calls by process. some: with some arguments only; fails: answered with an error. Any other call ends"
    )?;
    writeln!(
        out,
        "the process, or, in one that asks the host for names, fails."
    )?;
    for (who, list) in lists {
        writeln!(out, "\n{who}")?;
        for (name, how, why) in list.shown() {
            writeln!(out, "  {name:20} {how:6} {why}")?;
        }
    }
    Ok(())
}
