package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/utility/api"
)

// succession brings up a utility, a TTP, a collector and four meters, and then
// replaces one, lets one lose its vault, moves one and retires one, with the
// commands that operators have.
const succession = `
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
on() { local dir=$1; shift; wattveil utility "$@" --dir "$dir"; }
meter() { on utility meter "$@"; }

wattveil ttp init --dir ttp --name example-trust --listen 127.0.0.1:8450 --url https://127.0.0.1:8450
wattveil utility init --dir utility --name example-energy --listen 127.0.0.1:8440 --url https://127.0.0.1:8440 \
    --interval 1s --pool-window 1s --enrol-every 1s
wattveil utility authority --dir utility > utility.crt
echo '{"retroactive": true}' > gate.json # the readings are older than the tariff
wattveil ttp utility add example-energy --ca utility.crt --gate gate.json --out invitation.json --dir ttp
wattveil utility peer add --invitation invitation.json --dir utility
wattveil ttp serve --dir ttp &
wattveil utility serve --dir utility & server=$!
until wattveil utility enrol --dir utility; do sleep 1; done
on utility collector add north --address mqtt://127.0.0.1:1883 --out north.json
wattveil collector init --dir north --name north --from north.json --listen 127.0.0.1:1883 --interval 1s --metrics ''
wattveil collector serve --dir north &

# Each meter is a process of its own, with nine days of readings to hand in.
run() { wattveil-meter run --provision $1.jsonl --data $1 --retry 2s "${@:2}" & }
for name in old lost; do
    meter add --count 1 --out $name.jsonl
    run $name --history 216h; declare $name=$!
done
meter add --count 2 --out rest.jsonl
run rest --history 216h
until [ "$(meter list --state enrolled --json | wc -l)" = 4 ]; do sleep 0.2; done
id() { meter list --json | sed -n "$1s/.*\"meter\":\"\([0-9a-f]*\)\".*/\1/p"; }
A=$(id 1) B=$(id 2) C=$(id 3) D=$(id 4)
cat > tariff.json <<'TARIFF'
{"id": "flat", "currency": "CHF", "timezone": "UTC", "valid_from": "2020-01-01",
 "energy": {"default": "all", "bands": {"all": {"import": "0.27", "export": "0.08"}}}}
TARIFF
on utility tariff put tariff.json
period=$(date -u -d '8 days ago' +%F)/$(date -u -d '1 day ago' +%F)
until on utility bill run --period $period; do sleep 0.5; done

# Another device takes the place of A.
kill $old; wait $old || true
meter replace $A --out new.jsonl
! meter replace $A --out new.jsonl 2> exists.txt
! meter replace $A --out newer.jsonl 2> twice.txt
meter show $A > waiting.txt
run new
until meter show $A --json | grep -q '"state":"draining"'; do sleep 0.2; done
until [ "$(meter list --state enrolled --json | wc -l)" = 4 ]; do sleep 0.2; done
! meter move $A 2> moved.txt

# B loses all that it has kept.
kill $lost; wait $lost || true
rm -r lost
meter replace $B --same-device
! meter replace $B --same-device --out x.jsonl 2> both.txt
run lost
until ! meter show $B --json | grep -q awaits_key; do sleep 0.2; done

# C is to move, D is taken away.
meter move $C --at "$(date -u -d '2 days' +%F)T00:00:00Z"
! meter move $C --at "$(date -u -d '2 days' +%F)T00:01:00Z" 2> minute.txt
! meter move $C --at tomorrow 2> tomorrow.txt
meter retire $D
! meter retire $D 2> again.txt
! meter retire 0000000000000001 2> unknown.txt
meter add --count 1 --out never.jsonl
meter retire $(id 6)
meter replace $C --out waits.jsonl
on utility bill run --period $period --json bills.jsonl

# On the folder itself it is the same.
meter list > served.txt
kill $server; wait $server || true
meter list > folder.txt
meter list --json > meters.json
meter show $D > retired.txt
echo $A $B $C $D > names.txt
`

func runSuccession(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := succession
	ports := field.FreePorts(t, 3)
	for i, port := range []string{"8450", "8440", "1883"} {
		script = strings.ReplaceAll(script, ":"+port, ":"+ports[i])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "WATTVEIL_") }),
		"PATH="+field.Binaries(t)+":"+os.Getenv("PATH"), "WATTVEIL_UTILITY_METRICS=", "WATTVEIL_TTP_METRICS=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	timer := time.AfterFunc(scriptTime, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer timer.Stop()
	if err := cmd.Run(); err != nil {
		text := out.String()
		t.Fatalf("%v; the end of its output:\n%s", err, text[max(0, len(text)-6000):])
	}
	return dir
}

func readText(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jsonLines reads values of one kind, one a line.
func jsonLines[T any](t *testing.T, text string) (list []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// TestSuccession replaces, moves and retires meters with the real commands.
func TestSuccession(t *testing.T) {
	needBash(t)
	dir := runSuccession(t)
	names := strings.Fields(readText(t, dir, "names.txt"))
	meters := jsonLines[api.Meter](t, readText(t, dir, "meters.json"))
	if len(meters) != 7 || len(names) != 4 {
		t.Fatalf("%d meters, %d names", len(meters), len(names))
	}
	a, b, c, d, successor := meters[0], meters[1], meters[2], meters[3], meters[4]
	if a.State != "draining" || a.ReplacedBy != successor.ID || a.DrainsUntil == nil || a.Pseudonym != successor.Pseudonym {
		t.Errorf("the replaced meter: %+v", a)
	}
	if successor.Replaces != a.ID || successor.State != "enrolled" {
		t.Errorf("its successor: %+v", successor)
	}
	if b.State == "draining" || b.AwaitsKey || b.ReplacedBy != "" {
		t.Errorf("the meter that lost its vault: %+v", b)
	}
	if c.MoveAt == nil || c.MoveAt.Hour() != 0 {
		t.Errorf("the meter that moves: %+v", c)
	}
	if d.State != "draining" || d.RetiredAt == nil {
		t.Errorf("the retired meter: %+v", d)
	}
	if never, waits := meters[5], meters[6]; never.State != "ended" || waits.State != "added" || waits.Replaces != c.ID {
		t.Errorf("a meter that was never installed: %+v; one that is to be: %+v", never, waits)
	}
	if served, folder := readText(t, dir, "served.txt"), readText(t, dir, "folder.txt"); strings.Count(served, "\n") != 8 || strings.Count(folder, "\n") != 8 {
		t.Errorf("by the server:\n%son the folder:\n%s", served, folder)
	}
	info, err := os.Stat(filepath.Join(dir, "new.jsonl"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("record of the new device: %v, %v", info.Mode(), err)
	}
	for name, want := range map[string]string{
		"exists.txt": "new.jsonl", "twice.txt": "is made to replace it already", "moved.txt": "was replaced, by meter " + successor.ID,
		"both.txt": "--same-device makes no new record", "minute.txt": "full quarter of an hour", "tomorrow.txt": "want a time such as",
		"again.txt": "is retired", "unknown.txt": "there is no meter", "waiting.txt": "replaced by", "retired.txt": "drains until",
	} {
		if got := readText(t, dir, name); !strings.Contains(got, want) {
			t.Errorf("%s: %q does not say %q", name, got, want)
		}
	}
	bills := jsonLines[api.MeterBill](t, readText(t, dir, "bills.jsonl"))
	billed := make(map[string]bool)
	for _, bill := range bills {
		if bill.Class != "" {
			t.Errorf("meter %s has no bill: %s", bill.Meter, bill.Reason)
		}
		billed[bill.Meter] = true
	}
	if len(bills) != 4 || billed[a.ID] || !billed[successor.ID] {
		t.Errorf("%d bills, of %v", len(bills), billed)
	}
}
