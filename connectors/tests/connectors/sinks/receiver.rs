//! A receiver that keeps what it gets and answers as it is told: with HTTP, or with what goes wrong on a wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// What a request is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// As HTTP prescribes.
    Http { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is torn down before a word.
    Reset,
    /// Nothing is said, and the connection stays.
    Stall,
    /// A status, and a body that never comes to its end.
    SlowBody(u16),
    /// A status, and a body without end.
    Endless(u16),
}

impl Reply {
    pub(super) fn of(status: u16, body: impl Into<String>) -> Self {
        Reply::Http { status, headers: Vec::new(), body: body.into() }
    }

    pub(super) fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Reply::Http { status, mut headers, body } => {
                headers.push((name, value.to_owned()));
                Reply::Http { status, headers, body }
            }
            other => other,
        }
    }
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

#[derive(Clone)]
pub(super) struct Receiver {
    /// Where it listens, without a path.
    pub(super) base: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Answers every request with this status and these headers.
    pub(super) async fn answering(status: u16, headers: &[(&'static str, &str)]) -> Self {
        // A body that must turn up in no message of ours.
        let reply = headers
            .iter()
            .fold(Reply::of(status, "the-body-of-the-answer"), |reply, (name, value)| reply.with(name, value));
        Receiver::serving(move |_| reply.clone()).await
    }

    /// Answers each request as the function says.
    pub(super) async fn serving(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://127.0.0.1:{}", listener.local_addr().expect("an address").port());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (kept, handler): (_, Handler) = (Arc::clone(&requests), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&handler)));
            }
        });
        Receiver { base, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// The one request that arrived.
    pub(super) fn only(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }
}

async fn serve(mut stream: TcpStream, requests: Arc<Mutex<Vec<Request>>>, handler: Handler) {
    let Some(request) = read(&mut stream).await else { return };
    let reply = handler(&request);
    requests.lock().expect("not poisoned").push(request);
    // Whoever asked may be gone by now.
    let _ = match reply {
        Reply::Http { status, headers, body } => {
            let mut head =
                format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).await
        }
        Reply::Reset => Ok(()),
        Reply::Stall => std::future::pending().await,
        Reply::SlowBody(status) => {
            let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: 1000\r\n\r\n{{\"ok\":");
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending().await
        }
        Reply::Endless(status) => {
            let head = format!("HTTP/1.1 {status} Status\r\n\r\n");
            let mut written = stream.write_all(head.as_bytes()).await;
            while written.is_ok() {
                written = stream.write_all(&[b' '; 4096]).await;
            }
            written
        }
    };
    let _ = stream.shutdown().await;
}

/// Reads one request; nothing where the other side gives up.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = std::str::from_utf8(&bytes[..head_end]).expect("a head is text").to_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head_end..].to_vec()).expect("a body is text");
    Some(Request { path, headers, body })
}
