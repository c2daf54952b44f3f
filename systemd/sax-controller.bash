# Completion of sax-controller for bash. It needs nothing but bash, and nothing that it does connects to anything.
# tests/completion.rs holds the options to those that the program's own --help tells.

_sax_controller() {
    COMPREPLY=()
    local IFS=$' \t\n' program=${1:-sax-controller} cur=${COMP_WORDS[COMP_CWORD]-} option='' command kind
    local commands='run check commission status devices scan read write simulate'
    if ((COMP_CWORD <= 1)); then
        _sax_controller_words "$commands help version --help --version"
        return 0
    fi
    command=${COMP_WORDS[1]} option=${COMP_WORDS[COMP_CWORD - 1]}
    # bash takes --option=VALUE for three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $option == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if _sax_controller_kind "$option"; then
        _sax_controller_offer
    elif [[ $cur == -* ]]; then
        _sax_controller_words "$(_sax_controller_options)"
    elif [[ $command == scan ]]; then
        kind=port _sax_controller_offer
    elif _sax_controller_first; then
        case $command in
            help) _sax_controller_words "$commands" ;;
            check) kind=toml _sax_controller_offer ;;
            devices) _sax_controller_devices ;;
            read | write) kind=port _sax_controller_offer ;;
        esac
    fi
    return 0
}

# The options of the command.
_sax_controller_options() {
    local files='-c --config --devices' tool='--timeout-ms --json --baud --parity --data-bits --stop-bits --socket'
    local value='--unit --function --type --word-order --one-based --raw'
    case $command in
        run) echo "$files --state --leds -h --help" ;;
        check) echo "$files -q --quiet -h --help" ;;
        commission) echo "$files --state -y --yes --power -h --help" ;;
        status) echo "$files --json -w --watch --socket -h --help" ;;
        devices) echo "--devices -h --help" ;;
        scan) echo "$tool --port --units --connect-ms --all --progress --devices -h --help" ;;
        read) echo "$tool $value --count --watch --times -h --help" ;;
        write) echo "$tool $value --not-finite --verify -h --help" ;;
        simulate)
            echo "$files --site --no-car --bus-loss-permille --noise-permille --hours --season --sky --loss-permille --show-config" \
                "--faults --trace --compare --csv --plot --live --seconds --keep --number --latency-ms --poll-ms --firmware -h --help"
            ;;
    esac
}

# Sets kind to what stands behind an option: toml, file, folder, words or a list of words; empty where nobody can guess it, as for numbers.
# Fails where the option takes nothing.
_sax_controller_kind() {
    case $1 in
        -c | --config | --site) kind=toml ;;
        --devices | --state | --leds) kind=folder ;;
        --socket | --csv | --trace | --plot) kind=file ;;
        --season) kind='spring summer winter' ;;
        --sky) kind='broken clear overcast' ;;
        --firmware) kind='old new' ;;
        --type) kind='u16 i16 u32 i32 f32 bool hex string' ;;
        --word-order) kind='high-first low-first' ;;
        --parity) kind='none even odd' ;;
        --baud) kind='1200 2400 4800 9600 19200 38400 57600 115200' ;;
        --data-bits) kind='7 8' ;;
        --stop-bits) kind='1 2' ;;
        --function) if [[ $command == write ]]; then kind='5 6 15 16'; else kind='1 2 3 4'; fi ;;
        --unit | --units | --port | --count | --times | --timeout-ms | --connect-ms | --power | --hours | --seconds) kind= ;;
        --number | --latency-ms | --poll-ms | --loss-permille | --bus-loss-permille | --noise-permille) kind= ;;
        *) return 1 ;;
    esac
}

# Offers what is of this kind and begins with $cur.
_sax_controller_offer() {
    case $kind in
        '') ;;
        toml | file | folder) _sax_controller_files ;;
        port) _sax_controller_ports ;;
        *) _sax_controller_words "$kind" ;;
    esac
}

# Whether no argument stands before the cursor but options with their values.
_sax_controller_first() {
    local k kind
    for ((k = 2; k < COMP_CWORD; k++)); do
        if [[ ${COMP_WORDS[k]} != -* ]]; then
            return 1
        elif _sax_controller_kind "${COMP_WORDS[k]}"; then
            if [[ ${COMP_WORDS[k + 1]} == = ]]; then
                k=$((k + 1))
            fi
            k=$((k + 1))
        fi
    done
}

# Where scan takes several with commas between them, the last one is completed.
_sax_controller_words() {
    local word before=''
    if [[ ${command-} == scan && $option == --* && $cur == *,* ]]; then
        before=${cur%,*},
    fi
    for word in $1; do
        if [[ $before$word == "$cur"* ]]; then
            COMPREPLY+=("$before$word")
        fi
    done
}

# Folders, and files of the kind, or any file where there is neither.
_sax_controller_files() {
    mapfile -t COMPREPLY < <(
        [[ $kind != toml ]] || compgen -f -X '!*.toml' -- "$cur"
        compgen -d -- "$cur"
    )
    if [[ $kind == file || $kind == toml && ${#COMPREPLY[@]} -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
    # bash then puts a slash behind folders, and a backslash before blanks. It fails where nobody has pressed Tab, as in a test.
    compopt -o filenames 2>/dev/null || true
}

# Serial ports, by the names that stay where there are some. Hosts are not looked for.
_sax_controller_ports() {
    local port found=0
    for port in /dev/serial/by-id/* /dev/ttyUSB* /dev/ttyACM* /dev/ttyS* /dev/ttyAMA*; do
        if [[ -e $port && $port == "$cur"* ]] && ((found == 0 || ${#cur} > 8)); then
            COMPREPLY+=("$port")
        fi
        if [[ -e $port && $port == /dev/serial/* ]]; then
            found=1
        fi
    done
}

# The names that the program itself tells, with those of the folder that --devices names.
_sax_controller_devices() {
    local k folder=() name rest names=''
    for ((k = 2; k + 1 < COMP_CWORD; k++)); do
        if [[ ${COMP_WORDS[k]} == --devices ]]; then
            folder=("${COMP_WORDS[k]}" "${COMP_WORDS[k + 1]}")
        fi
    done
    while read -r name rest; do
        # The names of devices, and neither the head of the table nor the words below it.
        if [[ $name =~ ^[a-z0-9][a-z0-9_-]*$ && $rest == *' '* ]]; then
            names+=" $name"
        fi
    done < <("$program" devices ${folder[@]+"${folder[@]}"} 2>/dev/null)
    _sax_controller_words "$names"
}

complete -F _sax_controller sax-controller
