//! The border to the Go library of `go/broker.go`: the one file of the project with `unsafe`, but for a call into
//! the allocator (crate `allocator`).

#![allow(
    unsafe_code,
    reason = "the broker is written in Go and can be called by no other means"
)]

use std::ffi::{CStr, c_char, c_int};

/// Room for the library's reason why it did not start; longer ones are cut.
const MESSAGE_BYTES: usize = 512;

unsafe extern "C" {
    fn kfake_start(
        port: *mut c_int,
        directory: *const c_char,
        cleaner_ms: c_int,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;

    // Takes a number and nothing else; numbers that it does not know are left alone.
    safe fn kfake_stop(handle: c_int);
}

/// Starts a broker on that port of 127.0.0.1, 0 for a free one, with its data in `directory`, in memory
/// if that has no characters. Returns its handle and its port.
///
/// # Errors
/// The library's reason.
pub(super) fn start(port: u16, directory: &CStr, cleaner_ms: u32) -> Result<(c_int, u16), String> {
    let mut bound = c_int::from(port);
    let mut message = [0_u8; MESSAGE_BYTES];
    let cleaner_ms = c_int::try_from(cleaner_ms).unwrap_or(c_int::MAX);
    // SAFETY: all pointers are valid for the time of the call, which is all that the library uses them
    // for: it reads `directory` up to its end, writes one number to `bound` and at most `message.len()`
    // bytes to `message`, the last of them 0.
    let handle = unsafe {
        kfake_start(
            &raw mut bound,
            directory.as_ptr(),
            cleaner_ms,
            message.as_mut_ptr().cast(),
            message.len(),
        )
    };
    match u16::try_from(bound) {
        Ok(port) if handle >= 0 => Ok((handle, port)),
        _ => Err(CStr::from_bytes_until_nul(&message).map_or_else(
            |_| String::new(),
            |text| text.to_string_lossy().into_owned(),
        )),
    }
}

/// Writes what is not written yet and closes the broker.
pub(super) fn stop(handle: c_int) {
    kfake_stop(handle);
}
