//! Opening shared libraries that may be missing (dlopen(3)); auth only, whose memory nobody else sees.

use std::ffi::{CStr, c_void};

/// A library that is never closed: what it registers at exit must stay mapped.
#[derive(Debug, Clone, Copy)]
pub struct Library(*mut c_void);

/// Opens a library by its file name; `None` when the host does not have it.
pub fn open(name: &CStr) -> Option<Library> {
    // SAFETY: the name ends in NUL; the initialisers that run are those of the system's own libraries.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    (!handle.is_null()).then_some(Library(handle))
}

/// The address of a symbol, which the caller must give its right type.
pub fn symbol(library: Library, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the handle came from dlopen and is never closed; the name ends in NUL.
    let address = unsafe { libc::dlsym(library.0, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}
