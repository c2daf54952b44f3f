//! What is read from the state directory at the start: any bytes in `learned.json` and `load_balancer.json`. Only what can be is believed, and
//! what is believed is written and read back the same.

use std::path::PathBuf;
use std::sync::LazyLock;

use sax_controller::config::{self, Config};
use sax_controller::control::core::Core;
use sax_controller::daemon::memory::Memory;
use sax_controller::daemon::settings_file::SettingsFile;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::units::{Span, Time};

const TEXT: &str = "[site]\nstrategy = \"self-consumption\"\nbalance = \"sum\"\nfuse_a = 25\n[meter]\ndevice = \"p1\"\n\
    link.serial = { port = \"/dev/ttyNONE\" }\n[[battery]]\nname = \"A\"\ndevice = \"sax\"\nphase = \"L1\"\nlink.tcp = { host = \"a\" }\n\
    [load_balancer]\nphases = 3\ncharger_limit_a = 16\n[server]\naddress = 10\ntcp = { listen = \"127.0.0.1:1502\", writable = true }\n\
    gateway = { link.tcp = { host = \"b\" }, units = [2, 3] }\n";

struct Site {
    config: Config,
    core: Core,
    folder: PathBuf,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let library = Library::built_in().unwrap_or_else(|error| panic!("{error}"));
    let config = config::parse(TEXT, &library).unwrap_or_else(|error| panic!("{error}"));
    let folder = std::env::temp_dir().join(format!("sax-fuzz-state-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    Site { core: Core::new(plan(&config, &library).site), config, folder }
});

pub fn run(input: &[u8]) {
    let Some((which, text)) = input.split_first() else { return };
    if which % 2 == 0 { learned(text) } else { settings(text) }
}

fn learned(text: &[u8]) {
    let memory = Memory::open(&SITE.folder, &SITE.config);
    std::fs::write(memory.path(), text).unwrap_or_else(|error| panic!("{error}"));
    let learned = match memory.read() {
        Ok(learned) => learned.unwrap_or_else(|| panic!("the file is there")),
        Err(why) => return assert!(why.to_string().ends_with('.'), "{why}"),
    };
    let late = Span::from_s(16);
    assert!(learned.window.lo <= learned.window.hi && learned.window.hi <= late && learned.averaging <= late, "{learned:?}");
    assert_eq!(learned.batteries.len(), 1);
    let sound = |scale_pm| (850..=1150).contains(&scale_pm);
    assert!(learned.batteries.iter().all(|b| sound(b.scale_pm) && b.response.is_none_or(|r| r <= Span::from_s(60))), "{learned:?}");
    let mut core = SITE.core.clone();
    core.remember(learned.clone());
    (1..4).for_each(|s| drop(core.step(Time::from_ms(s * 1000)).clone()));
    memory.save(&learned).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(memory.read(), Ok(Some(learned)));
}

fn settings(text: &[u8]) {
    let server = SITE.config.server.as_ref().unwrap_or_else(|| panic!("there is one"));
    let mut file = SettingsFile::open(&SITE.folder, &SITE.config, server);
    std::fs::write(file.path(), text).unwrap_or_else(|error| panic!("{error}"));
    let saved = match file.read() {
        Ok(saved) => saved.unwrap_or_else(|| panic!("the file is there")),
        Err(why) => return assert!(why.to_string().ends_with('.'), "{why}"),
    };
    assert!((1..=247).contains(&saved.address) && ![2, 3].contains(&saved.address), "{saved:?}");
    if let Some(s) = &saved.settings {
        assert!((1..=3).contains(&s.phases) && (1..=254).contains(&s.fallback_time_s) && s.charger_limit_ma > 0, "{s:?}");
        assert!(s.lower.limit_ma < s.upper.limit_ma && s.upper.limit_ma < s.alarm.limit_ma, "{s:?}");
        let steps = [s.alarm, s.upper, s.lower];
        assert!(steps.iter().all(|step| step.wait_s <= 254 && step.limit_ma.max(step.change_ma) <= 250_000), "{s:?}");
        assert!(s.charger_limit_ma.max(s.fallback_limit_ma) <= 250_000, "{s:?}");
    }
    file.put(Some(saved)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file.read(), Ok(Some(saved)));
}
