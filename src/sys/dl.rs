//! Opening shared libraries that may be missing (dlopen(3)), in nursery and auth, whose memory nobody else sees; and functions that
//! not every C library has.

use nix::errno::Errno;
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process, or an ancestor, has opened a library.
static OPEN: AtomicBool = AtomicBool::new(false);

/// `_Fork` (POSIX.1-2024): fork(3) without the handlers of pthread_atfork(3).
pub type BareFork = unsafe extern "C" fn() -> libc::pid_t;

/// A library that is never closed: what it registers at exit must stay mapped.
#[derive(Debug, Clone, Copy)]
pub struct Library(*mut c_void);

/// Why a library is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// The host does not have it.
    Missing,
    /// It may well: the loader's word for what went wrong.
    Failed(String),
}

/// Opens a library by its file name.
///
/// # Errors
/// It is not open.
pub fn open(name: &CStr) -> Result<Library, Unopened> {
    OPEN.store(true, Ordering::Relaxed);
    // SAFETY: the name ends in NUL; the initialisers that run are those of the system's own libraries.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(unopened(name, &last_error()));
    }
    Ok(Library(handle))
}

/// What dlopen(3) has just said.
fn last_error() -> String {
    // SAFETY: the call takes nothing, and gives null or a string that ends in NUL and stays until the next call, which is none here.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            return String::new();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// Whether the loader has looked everywhere and found no such file. That a library it needs is missing is another thing (glibc names that
/// one alone, musl both).
fn unopened(name: &CStr, said: &str) -> Unopened {
    let own = said.contains(&*name.to_string_lossy()) && !said.contains("needed by");
    if own && said.contains(Errno::ENOENT.desc()) {
        Unopened::Missing
    } else {
        Unopened::Failed(said.to_owned())
    }
}

/// The address of a symbol, which the caller must give its right type.
pub fn symbol(library: Library, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the handle came from dlopen and is never closed, or is that of what is there at start; the name ends in NUL.
    let address = unsafe { libc::dlsym(library.0, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// The address of a symbol of what was loaded at start, such as the C library, which the caller must give its right type.
pub fn own(name: &CStr) -> Option<*mut c_void> {
    symbol(Library(libc::RTLD_DEFAULT), name)
}

/// Whether a library has been opened that may have registered handlers.
pub fn any_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

/// The C library's `_Fork`, looked up once; `None` before glibc 2.34 and musl 1.2.2.
pub fn bare_fork() -> Option<BareFork> {
    static FOUND: OnceLock<Option<BareFork>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the symbol of that name takes nothing and gives a process number (POSIX.1-2024); the C library is never unloaded.
        own(c"_Fork")
            .map(|address| unsafe { std::mem::transmute::<*mut c_void, BareFork>(address) })
    })
}

/// The files of all libraries this process has mapped, as they were looked for (dl_iterate_phdr(3)).
pub fn loaded() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    // SAFETY: the function is called before this call returns, with the list, which nobody else uses meanwhile.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut found).cast()) };
    found
}

/// Adds one library, unless it has no file: the program itself has no name, and the kernel's own part no path.
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _: usize, list: *mut c_void) -> c_int {
    // SAFETY: the C library gives a live description, and hands on the list that `loaded` gave it.
    let (info, found) = unsafe { (&*info, &mut *list.cast::<Vec<PathBuf>>()) };
    if !info.dlpi_name.is_null() {
        // SAFETY: the name of a library is a string that ends in NUL and lives as long as the library is mapped.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes();
        if name.contains(&b'/') {
            found.push(PathBuf::from(OsStr::from_bytes(name)));
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::{Unopened, open, unopened};

    #[test]
    fn what_is_missing_and_what_cannot_be_opened() {
        let none = c"libvsftpd-has-none.so.0";
        assert_eq!(open(none).map(drop), Err(Unopened::Missing));
        for said in [
            "libpam.so.0: cannot open shared object file: Too many open files",
            "libpam.so.0: file too short",
            "libpam.so.0: failed to map segment from shared object: Cannot allocate memory",
            "libaudit.so.1: cannot open shared object file: No such file or directory",
            "Error loading shared library libaudit.so.1: No such file or directory (needed by /usr/lib/libpam.so.0)",
            "Error loading shared library libpam.so.0: No file descriptors available",
            "",
        ] {
            let failed = Unopened::Failed(said.to_owned());
            assert_eq!(unopened(c"libpam.so.0", said), failed);
        }
        for said in [
            "libpam.so.0: cannot open shared object file: No such file or directory",
            "Error loading shared library libpam.so.0: No such file or directory",
        ] {
            assert_eq!(unopened(c"libpam.so.0", said), Unopened::Missing);
        }
    }

    #[test]
    fn the_c_library_is_loaded() {
        let loaded = super::loaded();
        assert!(loaded.iter().all(|path| path.exists()), "{loaded:?}");
        assert!(
            loaded
                .iter()
                .any(|path| path.to_string_lossy().contains("libc")),
            "{loaded:?}"
        );
    }
}
