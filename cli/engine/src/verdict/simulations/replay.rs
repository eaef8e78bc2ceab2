//! The verdict is a function of what was measured: replay gives the same.

use super::world::{ALPHA, Random, World, failing, objectives};
use crate::verdict::{Batch, Judge};

/// What a judge was told, in order.
enum Told {
    Segment(f64),
    Batch(Batch),
    Share(u64, u64),
}

fn tell(judge: &mut Judge, told: &Told) {
    match told {
        Told::Segment(share) => judge.begin_segment(*share),
        Told::Batch(batch) => judge.observe(batch),
        Told::Share(requests, to_target) => judge.observe_share(*requests, *to_target),
    }
}

/// A run whose target begins to fail in its third step.
fn recording(seed: u64) -> Vec<Told> {
    let mut world = World::new(seed);
    let mut told = Vec::new();
    for share in [0.0, 0.1, 0.5] {
        told.push(Told::Segment(share));
        world.shift(share);
        if share > 0.3 {
            world.target = failing(0.05);
        }
        for _ in 0..100 {
            let (edge, paired) = world.interval();
            let to_target = edge.target.requests;
            told.push(Told::Share(edge.source.requests + to_target, to_target));
            told.push(Told::Batch(edge));
            told.push(Told::Batch(paired));
        }
    }
    told
}

#[test]
fn the_same_batches_give_the_same_verdict_however_often_one_looks() {
    for seed in 0..5 {
        let told = recording(seed);
        let mut first = Judge::new(&objectives(), ALPHA);
        for told in &told {
            tell(&mut first, told);
        }
        assert!(
            first.breach().is_some(),
            "seed {seed}: something to compare"
        );
        let mut again = Judge::new(&objectives(), ALPHA);
        let mut random = Random(seed);
        for told in &told {
            tell(&mut again, told);
            if random.coin(0.3) {
                // Looking is free, and a copy goes on where the original stood.
                let _ = (
                    again.guards().count(),
                    again.unproven(),
                    again.source_breaks(0),
                );
                again = again.clone();
            }
        }
        assert_eq!(again.breach(), first.breach(), "seed {seed}");
        assert_eq!(again.share_mismatch(), first.share_mismatch());
        assert_eq!(again.unproven(), first.unproven());
        let (one, other): (Vec<_>, Vec<_>) = (first.guards().collect(), again.guards().collect());
        assert_eq!(one, other, "seed {seed}");
    }
}
