use super::*;

const START: &str = "2026-11-21T10:00:00Z";

fn after(seconds: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds)
}

fn holder(run: &str) -> Holder {
    Holder {
        run: run.to_owned(),
        user: "ann".to_owned(),
        pid: 7,
        host: "elsewhere".to_owned(),
        since: after(0),
        beat: after(0),
    }
}

fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    (folder, home)
}

fn taking_away(holder: Holder) -> TakenAway {
    TakenAway {
        at: after(60),
        by: "bob@desk (process 9)".to_owned(),
        reason: "its machine burnt down".to_owned(),
        service: "shop".to_owned(),
        forced: false,
        holder,
    }
}

#[test]
fn the_second_run_is_told_who_holds_the_lock() {
    let (_folder, home) = home();
    let lock = home.lock("shop", holder("r1")).unwrap();
    let second = Holder {
        beat: after(3),
        ..holder("r2")
    };
    let error = home.lock("shop", second).unwrap_err().to_string();
    assert_eq!(
        error,
        "another run of `shop` is under way: r1, driven by ann, process 7 on elsewhere, \
         since 2026-11-21T10:00:00Z, last heartbeat 3.0 s ago"
    );
    assert_eq!(home.holder("shop"), Some(holder("r1")));
    assert_eq!(home.holders(), [holder("r1")]);
    assert!(home.lock("other", holder("r3")).is_ok());
    drop(lock);
    assert_eq!(home.holder("shop"), None);
    assert!(home.lock("shop", holder("r2")).is_ok());
}

#[tokio::test]
async fn a_silent_holder_is_called_stale_until_it_beats_again() {
    let (_folder, home) = home();
    let lock = home.lock("shop", holder("r1")).unwrap();
    let refused = |at| {
        let second = Holder {
            beat: after(at),
            ..holder("r2")
        };
        home.lock("shop", second).unwrap_err().to_string()
    };
    assert!(!refused(30).contains("stale"));
    let stale = refused(150);
    assert!(
        stale.contains("last heartbeat 2 min 30 s ago: it is stale")
            && stale.contains("cutover unlock shop"),
        "{stale}"
    );
    lock.beat(after(149)).await.unwrap();
    assert!(refused(150).contains("last heartbeat 1.0 s ago"));
    assert_eq!(home.holder("shop").unwrap().beat, after(149));
}

#[test]
fn a_heartbeat_from_the_future_is_as_doubtful_as_an_old_one() {
    let mut doubtful = holder("r1");
    doubtful.beat = after(3600);
    assert!(doubtful.is_stale(after(0)));
}

#[tokio::test]
async fn a_driver_whose_lock_was_taken_away_notices_and_harms_nobody() {
    let (_folder, home) = home();
    let stopped = home.lock("shop", holder("r1")).unwrap();
    assert_eq!(stopped.still_ours(), Ok(()));

    home.take_away(&taking_away(home.holder("shop").unwrap()))
        .unwrap();
    let lost = stopped.still_ours().unwrap_err();
    assert_eq!(lost.taken_by, None);
    let next = home.lock("shop", holder("r2")).unwrap();
    let lost = stopped.still_ours().unwrap_err().to_string();
    assert!(lost.contains("held by r2, driven by ann"), "{lost}");

    // It wakes, beats, and ends: its successor keeps the lock.
    stopped.beat(after(500)).await.unwrap();
    stopped.release().await;
    drop(stopped);
    assert_eq!(next.still_ours(), Ok(()));
    assert_eq!(home.holder("shop"), Some(holder("r2")));
}

#[test]
fn taking_away_is_logged_with_who_when_why_and_whose() {
    let (_folder, home) = home();
    let _lock = home.lock("shop", holder("r1")).unwrap();
    let entry = taking_away(holder("r1"));
    home.take_away(&entry).unwrap();
    let log = fs::read_to_string(home.path().join("locks/unlocks.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<TakenAway>(&log).unwrap(), entry);
}

#[test]
fn a_lock_that_changed_hands_is_not_taken_away() {
    let (_folder, home) = home();
    let first = home.lock("shop", holder("r1")).unwrap();
    drop(first);
    let refused = home.take_away(&taking_away(holder("r1")));
    assert!(matches!(refused, Err(TakeAwayError::Moved { .. })));
    let second = home.lock("shop", holder("r2")).unwrap();
    let refused = home.take_away(&taking_away(holder("r1"))).unwrap_err();
    assert!(refused.to_string().contains("no longer held by r1"));
    assert_eq!(second.still_ours(), Ok(()));
}
