//! crypt(3), opened at run time: what the host's libcrypt accepts is accepted, and nothing is needed to build; auth.

use super::dl;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use zeroize::Zeroize;

/// Room for crypt_data of every libcrypt: glibc's own was 131232 bytes, libxcrypt's is 32768.
const DATA: usize = 131_232;

type CryptRn =
    unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void, c_int) -> *mut c_char;
type CryptR = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

/// The library.
#[derive(Debug, Clone, Copy)]
pub struct Crypt {
    rn: Option<CryptRn>,
    r: Option<CryptR>,
}

impl Crypt {
    /// Opens libcrypt, the newest first, or takes the C library's own where that has one, as musl's does; `None` when the host has none.
    pub fn load() -> Option<Self> {
        [c"libcrypt.so.2", c"libcrypt.so.1"]
            .into_iter()
            .find_map(|name| {
                let library = dl::open(name).ok()?;
                Self::of(|symbol| dl::symbol(library, symbol))
            })
            .or_else(|| Self::of(dl::own))
    }

    fn of(symbol: impl Fn(&CStr) -> Option<*mut c_void>) -> Option<Self> {
        // SAFETY: crypt_rn(3) has this signature in every library that exports it.
        let rn = symbol(c"crypt_rn")
            .map(|symbol| unsafe { std::mem::transmute::<*mut c_void, CryptRn>(symbol) });
        // SAFETY: crypt_r(3) has this signature in every library that exports it.
        let r = symbol(c"crypt_r")
            .map(|symbol| unsafe { std::mem::transmute::<*mut c_void, CryptR>(symbol) });
        (rn.is_some() || r.is_some()).then_some(Self { rn, r })
    }

    /// The hash of a password with the setting (or whole hash) given; `None` when the method is unknown or off.
    pub fn hash(&self, password: &[u8], setting: &[u8]) -> Option<Vec<u8>> {
        let mut phrase = CString::new(password).ok()?;
        let setting = CString::new(setting).ok()?;
        let mut data = vec![0_u8; DATA];
        let size = c_int::try_from(DATA).ok()?;
        let result = match (self.rn, self.r) {
            // SAFETY: both strings end in NUL and live over the call; data is zeroed and at least as large as said.
            (Some(rn), _) => unsafe {
                rn(
                    phrase.as_ptr(),
                    setting.as_ptr(),
                    data.as_mut_ptr().cast(),
                    size,
                )
            },
            // SAFETY: as above; DATA is at least the size of every libcrypt's struct crypt_data.
            (None, Some(r)) => unsafe {
                r(phrase.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast())
            },
            (None, None) => std::ptr::null_mut(),
        };
        // SAFETY: a result that is not null is a string within `data`, which is still alive.
        let hash =
            (!result.is_null()).then(|| unsafe { CStr::from_ptr(result) }.to_bytes().to_vec());
        data.zeroize();
        // The CString's own buffer, taken back to be wiped.
        let mut bytes = std::mem::take(&mut phrase).into_bytes();
        bytes.zeroize();
        // A failure token starts with a star and can never be a stored hash (crypt(3)).
        hash.filter(|hash| !hash.starts_with(b"*"))
    }
}
