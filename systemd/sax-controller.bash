# Completion of sax-controller for bash. It needs nothing but bash, and nothing that it does connects to anything.
# tests/completion.rs holds the options to those that the program's own --help tells.

_sax_controller() {
    COMPREPLY=()
    local program=${1-sax-controller} cur=${COMP_WORDS[COMP_CWORD]-} prev=${COMP_WORDS[COMP_CWORD - 1]-}
    # bash takes --option=VALUE for three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]] && ((COMP_CWORD >= 2)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD <= 1)); then
        _sax_controller_words 'run check commission status devices scan read write simulate help version --help --version'
        return
    fi
    local command=${COMP_WORDS[1]}
    _sax_controller_value && return
    if [[ $cur == -* ]]; then
        _sax_controller_words "$(_sax_controller_options "$command")"
        return
    fi
    case $command in
        help) ((COMP_CWORD == 2)) && _sax_controller_words 'run check commission status devices scan read write simulate' ;;
        check) _sax_controller_first && _sax_controller_files toml ;;
        devices) _sax_controller_first && _sax_controller_devices ;;
        scan) _sax_controller_ports ;;
        read | write) _sax_controller_first && _sax_controller_ports ;;
    esac
    return 0
}

# The options of a command, one to a word.
_sax_controller_options() {
    local serial='--baud --parity --data-bits --stop-bits' files='-c --config --devices'
    case $1 in
        run) echo "$files --state --leds -h --help" ;;
        check) echo "$files -q --quiet -h --help" ;;
        commission) echo "$files --state -y --yes --power -h --help" ;;
        status) echo "$files --json -w --watch --socket -h --help" ;;
        devices) echo "--devices -h --help" ;;
        scan) echo "$serial --port --units --connect-ms --timeout-ms --all --json --progress --devices --socket -h --help" ;;
        read)
            echo "$serial --unit --function --type --word-order --count --one-based --watch --times --timeout-ms --raw --json" \
                "--socket -h --help"
            ;;
        write)
            echo "$serial --unit --function --type --word-order --one-based --not-finite --verify --timeout-ms --raw --json" \
                "--socket -h --help"
            ;;
        simulate)
            echo "$files --site --bus-loss-permille --noise-permille --hours --season --sky --loss-permille --show-config" \
                "--live --seconds --keep --number --latency-ms --poll-ms --firmware -h --help"
            ;;
    esac
}

# Offers what may stand behind the option in $prev; fails where that takes no value.
_sax_controller_value() {
    case $prev in
        -c | --config | --site) _sax_controller_files toml ;;
        --devices | --state | --leds) _sax_controller_folders ;;
        --socket) _sax_controller_files ;;
        --season) _sax_controller_words 'spring summer winter' ;;
        --sky) _sax_controller_words 'broken clear overcast' ;;
        --firmware) _sax_controller_words 'old new' ;;
        --type) _sax_controller_words 'u16 i16 u32 i32 f32 bool hex string' ;;
        --word-order) _sax_controller_words 'high-first low-first' ;;
        --parity) _sax_controller_list 'none even odd' ;;
        --baud) _sax_controller_list '1200 2400 4800 9600 19200 38400 57600 115200' ;;
        --data-bits) _sax_controller_words '7 8' ;;
        --stop-bits) _sax_controller_words '1 2' ;;
        --function)
            if [[ $command == write ]]; then
                _sax_controller_words '5 6 15 16'
            else
                _sax_controller_words '1 2 3 4'
            fi
            ;;
        --unit | --units | --count | --times | --timeout-ms | --connect-ms | --port | --power | --hours | --seconds | --number) ;;
        --latency-ms | --poll-ms | --loss-permille | --bus-loss-permille | --noise-permille) ;;
        *) return 1 ;;
    esac
    return 0
}

# Whether no argument that is neither an option nor a value of one stands before the cursor.
_sax_controller_first() {
    local word behind='' prev
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        # The two words behind --option that belong to =VALUE.
        if [[ $word == = ]]; then
            continue
        fi
        prev=$behind behind=$word
        if [[ $word == -* ]]; then
            continue
        fi
        cur='' _sax_controller_value || return 1
    done
    return 0
}

_sax_controller_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# Words with commas between them, where the command takes several.
_sax_controller_list() {
    local before=''
    if [[ $command == scan && $cur == *,* ]]; then
        before=${cur%,*},
    fi
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "${cur#"$before"}")
}

# Files, those with an ending before others, and folders.
_sax_controller_files() {
    local ending=${1-}
    if [[ -n $ending ]]; then
        mapfile -t COMPREPLY < <(compgen -f -X "!*.$ending" -- "$cur" && compgen -d -- "$cur")
    fi
    if ((${#COMPREPLY[@]} == 0)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
    _sax_controller_are_files
}

_sax_controller_folders() {
    mapfile -t COMPREPLY < <(compgen -d -- "$cur")
    _sax_controller_are_files
}

# Serial ports by the names that stay, and any path that somebody begins. Hosts are not looked for.
_sax_controller_ports() {
    if [[ $cur == */* ]]; then
        _sax_controller_files
        return
    fi
    local ports=()
    mapfile -t ports < <(compgen -G '/dev/serial/by-id/*' || compgen -G '/dev/tty[UA][SC][BM]*')
    mapfile -t COMPREPLY < <(compgen -W "${ports[*]-}" -- "$cur")
}

# The names that the program itself tells, from its own profiles and those of --devices.
_sax_controller_devices() {
    local names k folder=()
    for ((k = 2; k + 1 < COMP_CWORD; k++)); do
        if [[ ${COMP_WORDS[k]} == --devices ]]; then
            folder=(--devices "${COMP_WORDS[k + 1]}")
        fi
    done
    names=$("$program" devices ${folder[@]+"${folder[@]}"} 2>/dev/null | awk 'NF > 1 && $1 ~ /^[a-z0-9-]+$/ { print $1 }')
    _sax_controller_words "$names"
}

# bash then puts a slash behind folders and escapes spaces. Fails outside of a completion, where it has no meaning.
_sax_controller_are_files() {
    compopt -o filenames 2>/dev/null || true
}

complete -F _sax_controller sax-controller
