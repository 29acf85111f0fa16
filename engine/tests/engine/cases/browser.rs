//! The page of an incident in a real headless browser: nothing runs, both lanes are there, everything fits.
//!
//! The browser is Debian's `chromium`, or what `CHROME` names. Without one this fails, unless `WATERSHED_SKIP_BROWSER=1` says that it
//! may be left out; `integration/scripts/fetch-chromium.sh` installs one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the browser may take for a page.
const PATIENCE: Duration = Duration::from_secs(60);
/// The page that unit tests hold against the template: an incident with hostile text wherever an attacker can write.
const HOSTILE: &str = "tests/expected/cases/hostile.html";
const WHOLE: &str = "tests/expected/cases/whole.html";

/// Where the browser is; nothing where it may be left out.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROME") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() && std::env::var_os("WATERSHED_SKIP_BROWSER").is_some_and(|skip| skip == "1") {
        return None;
    }
    Some(found.expect(
        "there is no browser: run integration/scripts/fetch-chromium.sh, name one in CHROME, or set WATERSHED_SKIP_BROWSER=1",
    ))
}

/// Runs the browser on a page; gives what it writes.
fn open(browser: &Path, page: &Path, width: u32, more: &[&str]) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let dumped = profile.path().join("dom");
    let out = std::fs::File::create(&dumped).expect("writable");
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},1200"))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .stdout(Stdio::from(out))
        .stderr(Stdio::null());
    // Its sandbox refuses to start as root.
    if std::env::var("USER").is_ok_and(|user| user == "root")
        || Path::new("/proc/self").metadata().is_ok_and(|own| is_root(&own))
    {
        command.arg("--no-sandbox");
    }
    let mut child = command.spawn().expect("the browser starts");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the browser does not come to an end");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert!(status.success(), "the browser ended with {status}");
    std::fs::read_to_string(&dumped).expect("text")
}

fn is_root(own: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    own.uid() == 0
}

/// The page with a script of our own at its end that measures it. The page's own policy forbids scripts, so the copy has none.
fn measured(page: &str, dir: &Path) -> PathBuf {
    let script = "<script>addEventListener('load',()=>{\
        const w=document.documentElement.clientWidth;\
        const wide=[...document.body.querySelectorAll('*')].filter(e=>e.getBoundingClientRect().right>w+1).length;\
        const lane=(s)=>{const r=[...document.querySelectorAll(s)].map(e=>e.getBoundingClientRect());\
          return [Math.min(...r.map(x=>x.left)),Math.max(...r.map(x=>x.right))].map(Math.round).join('-')};\
        const o=document.createElement('output');o.id='measured';\
        o.textContent=[w,document.documentElement.scrollWidth,wide,lane('.moment.model .card'),lane('.moment.access .card')].join(' ');\
        document.body.append(o)})</script>";
    let policy =
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">";
    assert!(page.contains(policy));
    let page = page.replace(policy, "").replace("</body>", &format!("{script}</body>"));
    let path = dir.join("measured.html");
    std::fs::write(&path, page).expect("writable");
    path
}

fn written(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn a_hostile_incident_is_text_in_a_browser() {
    let Some(browser) = browser() else { return };
    let path = written(HOSTILE);
    let source = std::fs::read_to_string(&path).expect("the page is among the expected files");
    let dir = tempfile::tempdir().expect("a directory");
    // As it is, and without its policy: escaping holds on its own.
    let open_to_scripts = measured(&source, dir.path());
    for page in [&path, &open_to_scripts] {
        let dom = open(&browser, page, 1_200, &["--dump-dom"]);
        assert!(
            dom.contains("<title>Model abuse and access compromise inc_"),
            "no script has changed the title: {}",
            &dom[..2_000.min(dom.len())]
        );
        let scripts = dom.matches("<script").count();
        assert_eq!(scripts, usize::from(*page == open_to_scripts), "only the one that the test put there");
        for tag in ["<img", "<svg", "<iframe", "<a ", "<b>bold", "<object", "<link"] {
            assert!(!dom.contains(tag), "{tag}");
        }
        // No element has an attribute that the template does not write.
        let attributes = dom.split('<').filter_map(|rest| rest.split('>').next()).filter(|tag| tag.contains(" on"));
        assert_eq!(attributes.filter(|tag| tag.contains("=\"")).count(), 0);
        assert!(dom.contains("id=\"lane-model\"") && dom.contains("id=\"lane-access\""));
        assert!(dom.contains("moment model decided") && dom.contains("moment access decided"));
    }
}

#[test]
fn everything_fits_and_the_lanes_stand_side_by_side() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    for name in [HOSTILE, WHOLE] {
        let source = std::fs::read_to_string(written(name)).expect("the page is among the expected files");
        let page = measured(&source, dir.path());
        for width in [1_200, 800, 500] {
            let dom = open(&browser, &page, width, &["--dump-dom"]);
            let (_, rest) = dom.split_once("id=\"measured\">").expect("the measuring script ran");
            let measured: Vec<&str> = rest.split('<').next().unwrap_or_default().split(' ').collect();
            let [inner, scroll, wide, model, access] = measured[..] else { panic!("{measured:?}") };
            assert_eq!((inner, wide), (scroll, "0"), "{name} at {width}: {measured:?}");
            let edge = |lane: &str, at: usize| lane.split('-').nth(at).and_then(|edge| edge.parse::<i64>().ok());
            assert!(edge(model, 1) < edge(access, 0), "{name} at {width}: {measured:?}");
        }
    }
}

#[test]
fn it_prints_on_pages() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let pdf = dir.path().join("incident.pdf");
    let print = format!("--print-to-pdf={}", pdf.display());
    open(&browser, &written(WHOLE), 1_200, &[&print, "--no-pdf-header-footer"]);
    let bytes = std::fs::read(&pdf).expect("it was printed");
    assert!(bytes.starts_with(b"%PDF-") && bytes.len() > 5_000, "{} bytes", bytes.len());
}
