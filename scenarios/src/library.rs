//! The bundled plans: files under `scenarios/plans/` that anyone can read, copy and run.

/// Name and text, sorted by name.
const PLANS: &[(&str, &str)] = &[("demo", include_str!("../plans/demo.yaml"))];

/// The text of a bundled plan.
#[must_use]
pub fn plan(name: &str) -> Option<&'static str> {
    PLANS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The names of the bundled plans, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLANS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_plan_reads_without_a_mistake() {
        for name in names() {
            let text = plan(name).unwrap();
            let read = crate::parse::plan(&format!("{name}.yaml"), text)
                .unwrap_or_else(|mistakes| panic!("{mistakes}"));
            assert_eq!(read.name, name, "a bundled plan is named like its file");
        }
    }

    #[test]
    fn every_plan_file_is_bundled() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/plans");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let bundled: Vec<String> = names().map(|name| format!("{name}.yaml")).collect();
        assert_eq!(files, bundled);
    }

    #[test]
    fn an_unknown_name_has_no_plan() {
        assert_eq!(plan("no-such-plan"), None);
    }
}
