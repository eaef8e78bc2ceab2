//! nginx as an origin, the bundled proxy before it, wrk as its users.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::clock::wait_for;
use crate::command::Running;
use crate::http;
use crate::workspace::{SHORT, Workspace};

/// An nginx that serves what its configuration says, on one address.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it served, one line a request, as its configuration says.
    pub access_log: PathBuf,
    _running: Running,
}

impl Origin {
    /// Starts nginx; `server` is the inside of its `server` block.
    ///
    /// # Panics
    /// When it does not answer soon.
    #[must_use]
    pub fn start(workspace: &Workspace, name: &str, server: &str) -> Self {
        let address = http::free_address();
        let folder = workspace.beside(name);
        fs::create_dir(&folder).expect("a folder for nginx");
        let here = folder.display();
        let access_log = folder.join("access.log");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {here}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log {here}/error.log warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n{temporary}    keepalive_requests 1000000000;\n    \
             access_log {} combined;\n    server {{\n    listen {address};\n{server}\n    }}\n}}\n",
            access_log.display()
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, config).expect("nginx's configuration");
        let mut command = Command::new(program("nginx"));
        command.arg("-e").arg(folder.join("error.log"));
        command.arg("-p").arg(&folder).arg("-c").arg(&file);
        let mut running = workspace.spawn(command);
        wait_for(&format!("nginx {name} on {address}"), SHORT, || {
            if !running.is_running() {
                return Err(format!("it ended: {}", running.stderr()));
            }
            http::get(address, "/").map(drop)
        });
        Origin {
            address,
            access_log,
            _running: running,
        }
    }

    /// How many requests it has served.
    #[must_use]
    pub fn served(&self) -> usize {
        fs::read_to_string(&self.access_log).map_or(0, |log| log.lines().count())
    }
}

/// The bundled proxy, started by its own command line.
#[derive(Debug)]
pub struct Proxy {
    /// Where requests go.
    pub address: SocketAddr,
    /// Where it is administered.
    pub admin: SocketAddr,
    /// The process.
    pub running: Running,
}

impl Proxy {
    /// Starts the proxy before origins, each with a weight, and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready soon.
    #[must_use]
    pub fn start(
        workspace: &Workspace,
        upstreams: &[(&str, &Origin, u32)],
        flags: &[&str],
    ) -> Self {
        let (address, admin) = (http::free_address(), http::free_address());
        let mut arguments = vec![format!("--listen={address}"), format!("--admin={admin}")];
        for (name, origin, weight) in upstreams {
            arguments.push(format!("--upstream={name}={}@{weight}", origin.address));
        }
        arguments.extend(flags.iter().map(ToString::to_string));
        let mut running = workspace.start_proxy(arguments);
        wait_for(&format!("the proxy on {admin}"), SHORT, || {
            if !running.is_running() {
                return Err(format!("it ended: {}", running.stderr()));
            }
            match http::get(admin, "/ready")? {
                answer if answer.status == 200 => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        });
        Proxy {
            address,
            admin,
            running,
        }
    }
}

/// wrk on `address` for so many seconds, with 32 kept-alive connections.
#[must_use]
pub fn start_wrk(workspace: &Workspace, address: SocketAddr, seconds: u64) -> Running {
    let mut command = Command::new(program("wrk"));
    command.args(["--threads=1", "--connections=32", "--timeout=5s"]);
    command.arg(format!("--duration={seconds}s"));
    command.arg(format!("http://{address}/"));
    workspace.spawn(command)
}

/// Waits for wrk, which says nothing of failures when there are none; yields its requests.
///
/// # Panics
/// When a request failed.
#[must_use]
pub fn assert_dropped_nothing(wrk: Running) -> u64 {
    let finished = wrk.wait(Duration::from_secs(60)).expect_exit(0);
    for failure in ["Socket errors", "Non-2xx"] {
        assert!(!finished.stdout.contains(failure), "{finished}");
    }
    let requests = finished
        .stdout
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    requests.unwrap_or_else(|| panic!("no count of requests: {finished}"))
}

/// A program of the Debian archive; nginx lies where only root looks.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':')
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed; tests/run installs it"))
}
