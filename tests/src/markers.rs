//! What ends a transaction on a broker that did not decide it, held back on its way.
//!
//! A transaction is committed once its coordinator has written so; every other broker learns of it by a request of the
//! coordinator (KIP-98, `WriteTxnMarkers`), soon or, if it cannot be reached, later. Until then a reader of committed records
//! does not see what was committed there.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;

/// The number of that request in Kafka's protocol.
const WRITE_TXN_MARKERS: [u8; 2] = 27_u16.to_be_bytes();

/// No request of a test is larger.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// The address under which a broker is known: all pass, but for markers while they are held.
#[derive(Debug)]
pub struct Markers {
    address: String,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    broker: OnceLock<String>,
    is_held: Mutex<bool>,
    changed: Condvar,
}

impl Markers {
    /// Listens. Whoever connects before [`Markers::lead_to`] is sent away.
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let gate = Arc::clone(&shared);
                thread::spawn(move || gate.serve(&client));
            }
        });
        Self { address, gate }
    }

    /// Where it listens, as host:port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Says where the broker is.
    pub fn lead_to(&self, broker: &str) {
        self.gate.broker.get_or_init(|| broker.to_owned());
    }

    /// Lets no marker through until [`Markers::release`].
    pub fn hold(&self) {
        self.gate.set_held(true);
    }

    /// Lets all through.
    pub fn release(&self) {
        self.gate.set_held(false);
    }
}

impl Drop for Markers {
    fn drop(&mut self) {
        self.release();
    }
}

impl Gate {
    fn set_held(&self, is_held: bool) {
        *self.is_held.lock().unwrap_or_else(PoisonError::into_inner) = is_held;
        self.changed.notify_all();
    }

    fn serve(&self, client: &TcpStream) {
        let broker = self.broker.get().map(TcpStream::connect);
        let Some(Ok(broker)) = broker else { return };
        thread::scope(|scope| {
            scope.spawn(|| {
                // Ends when either side is gone.
                let _ = io::copy(&mut &broker, &mut &*client);
                let _ = client.shutdown(Shutdown::Both);
            });
            let _ = self.requests(client, &broker);
            let _ = broker.shutdown(Shutdown::Both);
        });
    }

    /// Requests, each with its length before it.
    fn requests(&self, mut client: &TcpStream, mut broker: &TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            client.read_exact(&mut length)?;
            let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if size > MAX_REQUEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut request = length.to_vec();
            request.resize(length.len() + size, 0);
            client.read_exact(&mut request[length.len()..])?;
            if request[length.len()..].starts_with(&WRITE_TXN_MARKERS) {
                let held = self.is_held.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.changed.wait_while(held, |is_held| *is_held));
            }
            broker.write_all(&request)?;
        }
    }
}
