//! The five processes of two local stacks and their edge.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_engine::ports::{Health, PortError, Stacks};
use cutover_scenarios::plan::{LocalEdge, LocalStack, Plan, Stack, Traffic};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;

use super::health::health;
use super::process::{Process, Recipe, state_file};
use super::registration::Registration;
use super::shifter::LocalShifter;
use crate::client;
use crate::service::ServiceConfig;

/// Stacks that nobody uses end by themselves after this long.
const IDLE_EXIT: Duration = Duration::from_secs(600);

/// While a driver lives, its stacks are in use, also when no requests flow.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

const EDGE: &str = "edge";
const SOURCE_PROXY: &str = "source-proxy";
const SOURCE_SERVICE: &str = "source-service";
const TARGET_PROXY: &str = "target-proxy";
const TARGET_SERVICE: &str = "target-service";

/// In the order in which they are started; they are ended the other way round.
const NAMES: [&str; 5] = [
    SOURCE_SERVICE,
    TARGET_SERVICE,
    SOURCE_PROXY,
    TARGET_PROXY,
    EDGE,
];

/// The header by which the edge says which stack answered.
pub const STACK_HEADER: &str = "x-cutover-stack";

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Two stacks and an edge on this machine.
pub struct LocalStacks {
    program: PathBuf,
    /// `stacks/` in the run's folder: configurations, registrations, logs.
    folder: PathBuf,
    source: LocalStack,
    target: LocalStack,
    edge: LocalEdge,
    shifter: Arc<LocalShifter>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    processes: Vec<Process>,
    keep_alive: Option<JoinHandle<()>>,
}

/// A process of a run, as someone who looks from outside sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `edge`, `source-proxy`, …
    pub name: String,
    /// Where it answers, and its process.
    pub registration: Registration,
}

impl LocalStacks {
    /// The stacks of `plan`, with their files under the run's folder. `program` is the file that
    /// the processes are started from: the one that is running now.
    #[must_use]
    pub fn new(
        plan: &Plan,
        run_folder: &Path,
        program: PathBuf,
        shifter: Arc<LocalShifter>,
    ) -> Self {
        let Stack::Local(source) = &plan.source;
        let Stack::Local(target) = &plan.target;
        let Traffic::Local(edge) = &plan.traffic;
        LocalStacks {
            program,
            folder: run_folder.join("stacks"),
            source: source.clone(),
            target: target.clone(),
            edge: edge.clone(),
            shifter,
            running: Mutex::default(),
        }
    }

    /// Takes over the processes that a killed driver left, and connects the shifter to the edge.
    /// Yields which of them still run.
    pub async fn adopt(&self) -> Vec<Part> {
        let mut running = self.running.lock().await;
        for name in NAMES {
            let known = running
                .processes
                .iter()
                .any(|process| process.registration.name == name);
            if !known && let Some(process) = Process::adopt(&self.folder, name) {
                running.processes.push(process);
            }
        }
        self.connect(&mut running);
        running
            .processes
            .iter()
            .map(|process| part(&process.registration))
            .collect()
    }

    /// Leaves the processes running when the driver ends, as real stacks would.
    pub async fn leave_running(&self) {
        let mut running = self.running.lock().await;
        if let Some(task) = running.keep_alive.take() {
            task.abort();
        }
        for process in running.processes.drain(..) {
            process.release();
        }
    }

    /// Ends every process, the one that was started last (the edge) first, and waits until they
    /// are gone.
    pub async fn end(&self) {
        let mut running = self.running.lock().await;
        if let Some(task) = running.keep_alive.take() {
            task.abort();
        }
        if let Some(edge) = running.processes.pop() {
            edge.end().await;
        }
        let mut ending = JoinSet::new();
        for process in running.processes.drain(..) {
            ending.spawn(process.end());
        }
        ending.join_all().await;
    }

    async fn ensure(&self, running: &mut Running, recipe: Recipe) -> Result<SocketAddr, PortError> {
        let known = running
            .processes
            .iter_mut()
            .find(|p| p.registration.name == recipe.name);
        if let Some(process) = known
            && process.runs()
        {
            return Ok(process.registration.listen);
        }
        running
            .processes
            .retain(|process| process.registration.name != recipe.name);
        let process = match Process::adopt(&self.folder, recipe.name) {
            Some(process) => process,
            None => Process::start(&self.folder, &recipe).await?,
        };
        let listen = process.registration.listen;
        running.processes.push(process);
        Ok(listen)
    }

    fn service(&self, name: &'static str) -> Result<Recipe, PortError> {
        let config = ServiceConfig {
            name: name.to_owned(),
            listen: ANY_PORT,
            admin: ANY_PORT,
            state_file: state_file(&self.folder, name),
            idle_exit_s: IDLE_EXIT.as_secs(),
        };
        let argument = serde_json::to_string(&config)
            .map_err(|error| PortError::new(format!("configure {name}"), error))?;
        Ok(Recipe {
            name,
            program: self.program.clone(),
            called: crate::local::process_names::SERVICE,
            arguments: vec![argument],
        })
    }

    /// A proxy in front of upstreams: a stack's own, or the edge.
    fn proxy(&self, name: &'static str, mut config: Value) -> Result<Recipe, PortError> {
        config["name"] = json!(name);
        config["admin"] = json!(ANY_PORT);
        config["idle_exit"] = json!(format!("{}s", IDLE_EXIT.as_secs()));
        config["state_file"] = json!(state_file(&self.folder, name));
        let path = self.folder.join(format!("{name}.config.json"));
        std::fs::write(&path, config.to_string()).map_err(|error| {
            PortError::new(
                format!("configure {name}"),
                format!("{}: {error}", path.display()),
            )
        })?;
        Ok(Recipe {
            name,
            program: self.program.clone(),
            called: crate::local::process_names::PROXY,
            arguments: vec!["--config".to_owned(), path.display().to_string()],
        })
    }

    fn connect(&self, running: &mut Running) {
        let find = |name: &str| {
            running
                .processes
                .iter()
                .map(|p| &p.registration)
                .find(|known| known.name == name)
        };
        if let Some(edge) = find(EDGE) {
            self.shifter.connect(
                edge.admin,
                find(TARGET_SERVICE).map(|service| service.admin),
            );
        }
        let admins: Vec<_> = running
            .processes
            .iter()
            .map(|p| p.registration.admin)
            .collect();
        if let Some(task) = running.keep_alive.replace(tokio::spawn(keep_alive(admins))) {
            task.abort();
        }
    }

    fn fixed_listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let all = [
            ("source", self.source.listen),
            ("target", self.target.listen),
            ("edge", self.edge.listen),
        ];
        all.into_iter()
            .filter(|(_, address)| address.port() != 0)
            .collect()
    }
}

#[async_trait]
impl Stacks for LocalStacks {
    async fn inspect(&self) -> Result<Vec<String>, PortError> {
        Ok(vec![format!(
            "source and target are local stacks of the bundled service, each behind a bundled \
             proxy; files in {}",
            self.folder.display()
        )])
    }

    async fn preflight(&self) -> Result<Vec<String>, PortError> {
        let adopted = self.adopt().await;
        let taken: Vec<String> = self
            .fixed_listeners()
            .into_iter()
            .filter(|(_, address)| {
                let ours = |part: &Part| part.registration.listen == *address;
                !adopted.iter().any(ours) && TcpListener::bind(address).is_err()
            })
            .map(|(name, address)| format!("the {name}'s address {address} is already in use"))
            .collect();
        if !taken.is_empty() {
            return Err(
                PortError::new("use the addresses of the plan", taken.join(", ")).with_remedy(
                    "end what listens there, or give the plan other ports (0 takes any)",
                ),
            );
        }
        Ok(vec!["addresses are free".to_owned()])
    }

    async fn deploy(&self) -> Result<Vec<(String, String)>, PortError> {
        std::fs::create_dir_all(&self.folder).map_err(|error| {
            let cause = format!("{}: {error}", self.folder.display());
            PortError::new("make the stacks' folder", cause)
        })?;
        let mut running = self.running.lock().await;
        let running = &mut *running;
        let stacks = [
            (SOURCE_SERVICE, SOURCE_PROXY, self.source.listen),
            (TARGET_SERVICE, TARGET_PROXY, self.target.listen),
        ];
        let mut proxies = Vec::new();
        for (service, proxy, listen) in stacks {
            let upstream = self.ensure(running, self.service(service)?).await?;
            let config = json!({
                "listen": listen,
                "upstreams": [{ "name": "service", "address": upstream, "weight": 1 }],
            });
            proxies.push(self.ensure(running, self.proxy(proxy, config)?).await?);
        }
        let config = json!({
            "listen": self.edge.listen,
            "stack_header": STACK_HEADER,
            "timeouts": { "response_head": format!("{}ms", self.edge.response_timeout.as_millis()) },
            "upstreams": [
                { "name": "source", "address": proxies[0], "weight": 1 },
                { "name": "target", "address": proxies[1], "weight": 0 },
            ],
        });
        let edge = self.ensure(running, self.proxy(EDGE, config)?).await?;
        self.connect(running);
        let url = |address: SocketAddr| format!("http://{address}");
        Ok(vec![
            ("edge".to_owned(), url(edge)),
            ("source".to_owned(), url(proxies[0])),
            ("target".to_owned(), url(proxies[1])),
        ])
    }

    async fn health(&self) -> Health {
        health_of(self.folder.parent().unwrap_or(&self.folder)).await
    }

    fn describe_deploy(&self) -> Vec<String> {
        let listen = |address: SocketAddr| match address.port() {
            0 => format!("any free port of {}", address.ip()),
            _ => address.to_string(),
        };
        vec![
            "start source-service and target-service (cutover-demo-service)".to_owned(),
            format!(
                "start source-proxy (cutover-proxy) on {}",
                listen(self.source.listen)
            ),
            format!(
                "start target-proxy (cutover-proxy) on {}",
                listen(self.target.listen)
            ),
            format!(
                "start edge (cutover-proxy) on {}, weights source 100 %, target 0 %",
                listen(self.edge.listen)
            ),
        ]
    }
}

fn part(registration: &Registration) -> Part {
    Part {
        name: registration.name.clone(),
        registration: registration.clone(),
    }
}

async fn keep_alive(admins: Vec<SocketAddr>) {
    let mut tick = interval(KEEP_ALIVE);
    loop {
        tick.tick().await;
        for admin in &admins {
            // Whether it answers is the load's business; being asked is what counts.
            let _ = client::call(*admin, Method::GET, "/health", String::new()).await;
        }
    }
}

/// The processes of a run that still live.
#[must_use]
pub fn parts_alive(run_folder: &Path) -> Vec<Part> {
    let folder = run_folder.join("stacks");
    NAMES
        .iter()
        .filter_map(|name| Registration::read(&state_file(&folder, name)))
        .filter(Registration::is_alive)
        .map(|registration| part(&registration))
        .collect()
}

/// What the stacks of the run in this folder say of themselves.
pub async fn health_of(run_folder: &Path) -> Health {
    let parts = parts_alive(run_folder);
    let listen = |name: &str| {
        let part = parts.iter().find(|part| part.name == name)?;
        Some(part.registration.listen)
    };
    let (source, target) = tokio::join!(health(listen(SOURCE_PROXY)), health(listen(TARGET_PROXY)));
    Health { source, target }
}

/// Ends what a run left behind, and says what that was.
pub async fn clean_up(run_folder: &Path) -> Vec<Part> {
    let folder = run_folder.join("stacks");
    let mut ended = Vec::new();
    for name in NAMES.iter().rev() {
        if let Some(process) = Process::adopt(&folder, name) {
            ended.push(part(&process.registration));
            process.end().await;
        }
    }
    ended
}
