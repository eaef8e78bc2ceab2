//! The bundled proxy between real peers: wrk and curl before it, nginx behind it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use cutover_tests::clock::wait_for;
use cutover_tests::http;
use cutover_tests::peers::{Origin, Proxy, assert_dropped_nothing, program, start_wrk};
use cutover_tests::workspace::{SHORT, Workspace};
use nix::sys::signal::Signal;

const SMALL: &str = "location / { return 200 hello; }";

/// Wide enough that each claim about a load is one about thousands of requests.
const MANY: u64 = 2_000;

#[test]
fn weights_that_change_under_load_drop_nothing_and_both_origins_serve() {
    let workspace = Workspace::new();
    let source = Origin::start(&workspace, "source", SMALL);
    let target = Origin::start(&workspace, "target", SMALL);
    let proxy = Proxy::start(
        &workspace,
        &[("source", &source, 1), ("target", &target, 0)],
        &[],
    );
    let (before_source, before_target) = (source.served(), target.served());

    let mut wrk = start_wrk(&workspace, proxy.address, 6);
    let mut changes = 0_u32;
    wait_for("wrk's end", SHORT, || {
        if !wrk.is_running() {
            return Ok(());
        }
        let target = changes * 25 % 101;
        let body = format!(
            r#"{{"weights":{{"source":{},"target":{target}}}}}"#,
            100 - target
        );
        let answer = http::put(proxy.admin, "/weights", &body)?;
        assert_eq!(answer.status, 200, "{answer:?}");
        changes += 1;
        Err(format!("{changes} changes"))
    });
    let requests = assert_dropped_nothing(wrk);

    assert!(changes > 50, "only {changes} changes");
    assert!(requests > MANY, "only {requests} requests");
    let from_source = source.served() - before_source;
    let from_target = target.served() - before_target;
    assert!(from_source > 100, "{from_source} of {requests}");
    assert!(from_target > 100, "{from_target} of {requests}");
    // Each answer came from one origin; what was on its way at wrk's end is served, not counted.
    let served = (from_source + from_target) as u64;
    assert!(
        (requests..=requests + 64).contains(&served),
        "{served} for {requests}"
    );
}

#[test]
fn a_weight_of_25_percent_sends_a_quarter_of_the_requests() {
    let workspace = Workspace::new();
    let source = Origin::start(&workspace, "source", SMALL);
    let target = Origin::start(&workspace, "target", SMALL);
    let proxy = Proxy::start(
        &workspace,
        &[("source", &source, 75), ("target", &target, 25)],
        &[],
    );
    let (before_source, before_target) = (source.served(), target.served());
    let _ = assert_dropped_nothing(start_wrk(&workspace, proxy.address, 2));
    let target = (target.served() - before_target) as f64;
    let all = (source.served() - before_source) as f64 + target;
    let sigma = (all * 0.25 * 0.75).sqrt();
    assert!(
        (target - all * 0.25).abs() <= 4.0 * sigma + 1.0,
        "{target} of {all}"
    );
}

#[test]
fn a_drain_lets_transfers_in_flight_come_to_their_end() {
    const TRANSFERS: usize = 8;
    let workspace = Workspace::new();
    let content = pseudo_random(300_000);
    fs::write(workspace.folder().join("file"), &content).expect("a file");
    // 100 kB/s: each transfer takes some three seconds.
    let slow = format!("root {}; limit_rate 100k;", workspace.folder().display());
    let origin = Origin::start(&workspace, "slow", &slow);
    let proxy = Proxy::start(&workspace, &[("origin", &origin, 1)], &[]);

    let output = |n: usize| workspace.beside(&format!("transfer-{n}"));
    let transfers: Vec<_> = (0..TRANSFERS)
        .map(|n| {
            let mut curl = Command::new(program("curl"));
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--no-buffer",
                "--output",
            ]);
            curl.arg(output(n))
                .arg(format!("http://{}/file", proxy.address));
            workspace.spawn(curl)
        })
        .collect();
    wait_for("the first bytes of every transfer", SHORT, || {
        let sizes: Vec<_> = (0..TRANSFERS)
            .map(|n| fs::metadata(output(n)).map_or(0, |file| file.len()))
            .collect();
        if sizes.contains(&0) {
            Err(format!("{sizes:?}"))
        } else {
            Ok(())
        }
    });

    proxy.running.signal(Signal::SIGTERM);
    wait_for(
        "the proxy to refuse new connections",
        SHORT,
        || match http::get(proxy.address, "/file") {
            Err(refused) if refused.contains("refused") => Ok(()),
            other => Err(format!("{other:?}").chars().take(200).collect()),
        },
    );
    for (n, transfer) in transfers.into_iter().enumerate() {
        transfer.wait(SHORT).expect_exit(0);
        assert!(
            fs::read(output(n)).expect("a transfer") == content,
            "transfer {n} differs"
        );
    }
    proxy.running.wait(SHORT).expect_exit(0);
}

#[test]
fn a_lame_duck_serves_on_under_load_while_it_says_that_it_is_not_ready() {
    let workspace = Workspace::new();
    let origin = Origin::start(&workspace, "origin", SMALL);
    let flags = ["--lame-duck=6s"];
    let proxy = Proxy::start(&workspace, &[("origin", &origin, 1)], &flags);
    let wrk = start_wrk(&workspace, proxy.address, 3);
    proxy.running.signal(Signal::SIGTERM);
    wait_for("`draining` at /ready", SHORT, || {
        match http::get(proxy.admin, "/ready")? {
            answer if answer.status == 503 => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    });
    let requests = assert_dropped_nothing(wrk);
    assert!(requests > MANY, "only {requests} requests");
    proxy.running.wait(SHORT).expect_exit(0);
}

#[test]
fn nginx_sees_the_client_and_none_of_the_hop_by_hop_fields() {
    let workspace = Workspace::new();
    let shown = [
        "host",
        "http_x_forwarded_for",
        "http_x_forwarded_proto",
        "http_x_forwarded_host",
        "http_x_real_ip",
        "http_x_request_id",
        "http_x_private",
        "http_te",
        "http_keep_alive",
        "http_proxy_connection",
        "http_upgrade",
        "http_x_kept",
        "request_uri",
    ];
    let lines: String = shown.map(|name| format!("{name}=${name}\\n")).concat();
    // nginx writes what stands in quotes as it is, so the line breaks are real ones.
    let server = format!(
        "location / {{ return 200 \"{}\"; }}",
        lines.replace("\\n", "\n")
    );
    let origin = Origin::start(&workspace, "echo", &server);
    let proxy = Proxy::start(
        &workspace,
        &[("origin", &origin, 1)],
        &["--stack-header=x-stack"],
    );

    let mut curl = Command::new(program("curl"));
    curl.args(["--silent", "--show-error", "--include", "--max-time", "5"]);
    for field in [
        "Host: shop.example",
        "Connection: close, X-Private",
        "X-Private: secret",
        "TE: trailers",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Upgrade: h2c",
        "X-Kept: kept",
        "X-Forwarded-For: 203.0.113.9",
    ] {
        curl.args(["--header", field]);
    }
    curl.arg(format!("http://{}/a%20b?c=d%2Fe", proxy.address));
    let finished = workspace.spawn(curl).wait(SHORT).expect_exit(0);
    let seen: BTreeMap<_, _> = finished
        .stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();

    assert_eq!(seen["host"], "shop.example", "{finished}");
    assert_eq!(seen["request_uri"], "/a%20b?c=d%2Fe", "{finished}");
    assert_eq!(
        seen["http_x_forwarded_for"], "127.0.0.1",
        "nobody is trusted: {finished}"
    );
    assert_eq!(seen["http_x_real_ip"], "127.0.0.1", "{finished}");
    assert_eq!(seen["http_x_forwarded_proto"], "http", "{finished}");
    assert_eq!(seen["http_x_forwarded_host"], "shop.example", "{finished}");
    assert_ne!(seen["http_x_request_id"], "", "{finished}");
    assert_eq!(seen["http_x_kept"], "kept", "{finished}");
    for gone in [
        "x_private",
        "te",
        "keep_alive",
        "proxy_connection",
        "upgrade",
    ] {
        assert_eq!(
            seen[format!("http_{gone}").as_str()],
            "",
            "{gone}: {finished}"
        );
    }
    let names_stack = finished
        .stdout
        .lines()
        .any(|line| line.eq_ignore_ascii_case("x-stack: origin"));
    assert!(names_stack, "{finished}");
}

#[test]
fn a_large_download_arrives_byte_for_byte() {
    let workspace = Workspace::new();
    let content = pseudo_random(20_000_000);
    fs::write(workspace.folder().join("file"), &content).expect("a file");
    let root = format!("root {};", workspace.folder().display());
    let origin = Origin::start(&workspace, "files", &root);
    let proxy = Proxy::start(&workspace, &[("origin", &origin, 1)], &[]);
    let output = workspace.beside("download");
    let mut curl = Command::new(program("curl"));
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "15",
        "--output",
    ]);
    curl.arg(&output)
        .arg(format!("http://{}/file", proxy.address));
    workspace.spawn(curl).wait(SHORT).expect_exit(0);
    assert!(
        fs::read(output).expect("the download") == content,
        "the download differs"
    );
}

#[test]
fn an_origin_that_is_gone_is_answered_with_502_and_the_other_serves_on() {
    let workspace = Workspace::new();
    let source = Origin::start(&workspace, "source", SMALL);
    let target = Origin::start(&workspace, "target", SMALL);
    let proxy = Proxy::start(
        &workspace,
        &[("source", &source, 0), ("target", &target, 1)],
        &[],
    );
    assert_eq!(
        http::get(proxy.address, "/").expect("an answer").status,
        200
    );
    drop(target);
    assert_eq!(
        http::get(proxy.address, "/").expect("an answer").status,
        502
    );
    let back = r#"{"weights":{"source":1,"target":0}}"#;
    assert_eq!(
        http::put(proxy.admin, "/weights", back)
            .expect("an answer")
            .status,
        200
    );
    let requests = assert_dropped_nothing(start_wrk(&workspace, proxy.address, 1));
    assert!(requests > 0);
}

/// Bytes without a pattern that a lost or doubled part could hide in (splitmix64).
fn pseudo_random(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(length)
        .collect()
}
