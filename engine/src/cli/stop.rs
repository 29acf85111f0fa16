//! A graceful stop on SIGTERM and SIGINT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::{Error, output};

/// Whether the process was asked to stop. The second signal ends it at once.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    requested: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Stop {
    /// A stop that nothing but [`Stop::request`] asks for.
    pub fn new() -> Self {
        Stop::default()
    }

    /// Listens for SIGTERM, SIGINT and SIGHUP from a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread or no signal handler.
    pub fn on_signals() -> Result<Self, Error> {
        let stop = Stop::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::failure)?;
        let (mut terminate, mut interrupt, mut hangup) = {
            let _entered = runtime.enter();
            let terminate = signal(SignalKind::terminate()).map_err(Error::failure)?;
            let interrupt = signal(SignalKind::interrupt()).map_err(Error::failure)?;
            (terminate, interrupt, signal(SignalKind::hangup()).map_err(Error::failure)?)
        };
        let asked = stop.clone();
        let listen = move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                        _ = hangup.recv() => {
                            asked.reload.store(true, Ordering::Relaxed);
                            continue;
                        }
                    }
                    if asked.requested() {
                        output::complain("stopped at once, as asked a second time");
                        std::process::exit(3);
                    }
                    output::complain("stopping; once more to stop at once");
                    asked.request();
                }
            });
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(Error::failure)?;
        Ok(stop)
    }

    /// Asks for a stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Whether rules and reference tables are to be read again, once for each time that this was asked.
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    /// The flag itself, for threads that can't hold a `Stop`.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.requested)
    }
}
