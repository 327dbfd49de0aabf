//! The unit of systemd for a plain host: that of the Debian package, with the paths of another place. It writes nothing.

use std::path::{Component, Path, PathBuf};

use daymark_config::Config;

/// The unit of the Debian package.
const UNIT: &str = include_str!("../../packaging/debian/daymark.service");
/// The paths that it has.
const BINARY: &str = "/usr/bin/daymark";
const FILE: &str = "/etc/daymark/daymark.yaml";
const STATE: &str = "StateDirectory=daymark\n";
/// The directory in which systemd makes those of `StateDirectory`.
const STATES: &str = "/var/lib";
/// The directories that the unit hides from the service, by `ProtectHome` and `PrivateTmp`.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// The error of a path that a unit cannot have. The operator can correct each.
#[derive(Debug, thiserror::Error)]
pub enum NoUnit {
    /// A unit has its own ways with spaces, quotes, `%` and `$`.
    #[error("{0} cannot be written in a unit; an absolute path of letters, digits and _-+.,:@/, without .., is needed")]
    Unreadable(PathBuf),
    /// The service would not see it.
    #[error(
        "{0} is hidden from the service, which cannot see /home, /root and /tmp; a directory such as /usr/local or \
         /etc is needed"
    )]
    Hidden(PathBuf),
    /// The service could not write there.
    #[error(
        "stateDir: {0} is read-only for the service, which writes only below {STATES}; a directory there is needed"
    )]
    State(PathBuf),
}

/// The unit that runs this binary with this configuration from this file.
pub fn unit(binary: &Path, file: &Path, config: &Config) -> Result<String, NoUnit> {
    let unit = with_paths(binary, file, config.state_dir.as_deref())?;
    super::files(config).iter().try_for_each(|named| seen(&super::without_dots(named)))?;
    Ok(unit)
}

/// The unit that runs this binary with the configuration from this file, which keeps its state there.
fn with_paths(binary: &Path, file: &Path, state: Option<&Path>) -> Result<String, NoUnit> {
    let unit = UNIT.replace(BINARY, plain(binary)?).replace(FILE, plain(file)?);
    let Some(state) = state else { return Ok(unit) };
    match plain(state)?.strip_prefix(STATES).and_then(|below| below.strip_prefix('/')) {
        Some(below) => Ok(unit.replace(STATE, &format!("StateDirectory={}\n", below.trim_end_matches('/')))),
        None => Err(NoUnit::State(state.to_owned())),
    }
}

/// The path, as a unit can have it.
fn plain(path: &Path) -> Result<&str, NoUnit> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-+.,:@/".contains(letter);
    let is_straight = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    let text = path.to_str().filter(|text| is_straight && text.chars().all(is_plain));
    seen(path)?;
    text.ok_or_else(|| NoUnit::Unreadable(path.to_owned()))
}

/// Refuses a path that the service would not see.
fn seen(path: &Path) -> Result<(), NoUnit> {
    let is_hidden = HIDDEN.iter().any(|hidden| path.starts_with(hidden));
    if is_hidden { Err(NoUnit::Hidden(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(binary: &str, file: &str, state: Option<&str>) -> Result<String, String> {
        with_paths(Path::new(binary), Path::new(file), state.map(Path::new)).map_err(|error| error.to_string())
    }

    #[test]
    fn with_the_paths_of_the_package_it_is_the_unit_of_the_package() {
        assert_eq!(of(BINARY, FILE, Some("/var/lib/daymark")).as_deref(), Ok(UNIT));
        assert_eq!(of(BINARY, FILE, None).as_deref(), Ok(UNIT));
    }

    #[test]
    fn it_has_the_paths_of_another_place_wherever_the_package_has_its_own() {
        let unit = of("/usr/local/bin/daymark", "/srv/names/a.yaml", Some("/var/lib/names/a/")).unwrap();
        for line in [
            "ExecStart=/usr/local/bin/daymark run -c /srv/names/a.yaml",
            "ConditionPathExists=/srv/names/a.yaml",
            "StateDirectory=names/a",
        ] {
            assert!(unit.lines().any(|of_unit| of_unit == line), "{line} is missing:\n{unit}");
        }
        assert!(!unit.contains(FILE) && !unit.contains(STATE), "{unit}");
    }

    #[test]
    fn a_file_of_the_configuration_that_the_service_would_not_see_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let unit_with = |token: &str| {
            let file = dir.path().join("daymark.yaml");
            let pools = "pools: [{name: lb.example.org, nodes: [{name: cp-1, addresses: [192.0.2.1]}], probe: {insecure: true}}]";
            let provider = format!("{{type: cloudflare, mode: records, zone: example.org, tokenFile: {token}}}");
            std::fs::write(&file, format!("{pools}\nproviders: [{provider}]\n")).unwrap();
            let config = Config::load(&file, None).unwrap();
            unit(Path::new(BINARY), Path::new(FILE), &config).map_err(|error| error.to_string())
        };
        let token = dir.path().join("token").display().to_string();
        std::fs::write(&token, "secret").unwrap();
        for named in [token.clone(), format!("/etc/..{token}")] {
            assert!(unit_with(&named).unwrap_err().starts_with(&format!("{token} is hidden from the service")));
        }
    }

    #[test]
    fn a_path_that_the_service_would_not_find_is_refused() {
        for path in ["/home/ada/daymark", "/root/daymark", "/tmp/x/daymark"] {
            assert!(of(path, FILE, None).unwrap_err().starts_with(&format!("{path} is hidden from the service")));
            assert!(of(BINARY, path, None).unwrap_err().starts_with(&format!("{path} is hidden from the service")));
        }
        for path in ["/opt/day mark", "/opt/100%", "/opt/$HOME", "daymark", "/opt/day\nmark"] {
            assert!(of(path, FILE, None).unwrap_err().contains("cannot be written in a unit"), "{path}");
        }
        assert!(of(BINARY, FILE, Some("/srv/state")).unwrap_err().starts_with("stateDir: /srv/state is read-only"));
        assert!(of(BINARY, FILE, Some("/var/library")).is_err());
        let dotted = "/var/lib/../../srv/x";
        assert!(of(BINARY, FILE, Some(dotted)).unwrap_err().contains("cannot be written in a unit"), "{dotted}");
    }
}
