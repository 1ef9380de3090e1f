//! The matcher's memory: mimalloc, and when it goes back to the system.
//!
//! mimalloc gives freed memory back a second after it was freed, on whichever thread asks it for more then. After an index of a
//! million campaigns was dropped that takes up to 14 ms: too long for a change of a campaign, or a worker. So whoever drops
//! so much calls [`give_back`], on a thread that nobody waits for.

pub use mimalloc::MiMalloc;

/// Gives all memory that is free back to the system now. Takes the longer the more that is; other threads go on meanwhile.
pub fn give_back() {
    // SAFETY: the function takes a flag and no pointers, and any thread may call it at any time. It frees nothing that is in use.
    #[allow(unsafe_code, reason = "mimalloc can be told so by no other means")]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
