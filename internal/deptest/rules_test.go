package deptest

// planned are packages that rules name and that do not exist yet.
func planned() []string { return nil }

// rules are the architecture. Breaking one needs a page in decisions/ and a
// changed line here.
func rules() []Rule {
	var all []Rule
	for _, part := range [][]Rule{privacy(), roles(), layers(), engines()} {
		all = append(all, part...)
	}
	return all
}

const (
	pebbleSDK = "github.com/cockroachdb/pebble/v2/..."
	sqliteSDK = "modernc.org/sqlite/..."
	mochiSDK  = "github.com/mochi-mqtt/server/v2/..."
	gooseSDK  = "github.com/pressly/goose/v3/..."
)

// privacy keeps what can read away from whoever must not.
func privacy() []Rule {
	return []Rule{
		{
			Of:    []string{"collector/...", "utility/...", "portal/..."},
			Never: []string{"clpke/open", "wire/open", "readings/...", "vee", "rating", "bill/check", "ttp"},
			Why:   "it carries readings or shows what they came to, and must have no code that opens, stores, estimates or prices one",
		},
		{
			Of: []string{"invoice", "reconcile"},
			Never: []string{
				"clpke/...", "wire/...", "readings/...", "vee", "rating", "gate", "bill/check", "utility", "ttp", "net/http",
			},
			Why: "they show what is on bills and nothing finer, and keep and send nothing",
		},
		{
			Of:    []string{"collector/..."},
			Never: []string{"clpke/...", "kgc", "bill", "tariff", "utility"},
			Why:   "a collector holds no key of the protocol and knows nothing but ID_SM",
		},
		{
			Of: []string{"meter", "meter/ring", "meter/source", "meter/vault", "cmd/wattveil-meter"},
			Never: []string{
				"readings/...", "utility", "kgc", "ttp", "collector/...", "link/broker", "wire/open", "transparency",
				"peer", sqliteSDK, gooseSDK, pebbleSDK, mochiSDK,
			},
			Why: "a meter is small, and whoever opens it up finds no server, no store and no key center",
		},
		{
			Of:       []string{"wire/open"},
			OnlyFrom: []string{"ttp"},
			Why:      "readings are opened at the TTP and nowhere else",
		},
		{
			Of:       []string{"clpke/open"},
			OnlyFrom: []string{"meter", "ttp"},
			Why:      "only the two ends of an exchange decrypt",
		},
		{
			Of:    []string{"clpke", "kgc"},
			Never: []string{"clpke/open"},
			Why:   "the key center issues keys and never opens what they protect",
		},
		{
			Of:       []string{"readings/..."},
			OnlyFrom: []string{"ttp", "internal/grid", "cmd/wattveil"},
			Why:      "readings are kept at the TTP and nowhere else",
		},
	}
}

// roles keeps the parties apart: they meet on sockets only.
func roles() []Rule {
	const apart = "roles meet over the network, and only what wires them imports them"
	return []Rule{
		{Of: []string{"meter"}, OnlyFrom: []string{"internal/grid", "cmd/wattveil-meter"}, Why: apart},
		{Of: []string{"collector"}, OnlyFrom: []string{"collector/...", "internal/grid", "cmd/wattveil"}, Why: apart},
		{Of: []string{"utility"}, OnlyFrom: []string{"utility/...", "internal/grid", "cmd/wattveil"}, Why: apart},
		{Of: []string{"ttp"}, OnlyFrom: []string{"ttp/...", "internal/grid", "cmd/wattveil"}, Why: apart},
		{Of: []string{"portal"}, OnlyFrom: []string{"internal/grid", "cmd/wattveil"}, Why: apart},
		{
			Of:    []string{"meter", "collector", "utility", "ttp"},
			Never: []string{"readings/pebble", "collector/queue", "meter/ring", "meter/vault", pebbleSDK},
			Why:   "a role declares the few methods that it needs, and is given a driver",
		},
		{
			Of:    []string{"meter"},
			Never: []string{"link", "peer"},
			Why:   "a meter is given its network, so that it runs over others and in tests",
		},
		{
			Of:       []string{"internal/grid"},
			OnlyFrom: []string{"cmd/wattveil"},
			Why:      "the grid sees all sides at once, which no party may",
		},
		{
			Of:       []string{"internal/field"},
			OnlyFrom: []string{"internal/field"},
			Why:      "it starts and kills processes, for tests alone",
		},
	}
}

// layers gives imports one direction.
func layers() []Rule {
	return []Rule{
		{
			Of:    []string{"."},
			Never: []string{Outside},
			Why:   "everything imports the nouns, so they bring nothing along",
		},
		{
			Of:    []string{"bill"},
			Never: []string{"rating"},
			Why:   "who checks a bill needs no pricing; the TTP turns priced lines into a bill",
		},
		{
			Of:       []string{"bill/check"},
			OnlyFrom: []string{"cmd/wattveil"},
			Why:      "it computes bills again for whoever doubts them; the TTP makes them by other code",
		},
		{
			Of:    []string{"rating", "vee", "gate", "analytics"},
			Never: []string{"bill", "readings/...", "net/http"},
			Why:   "they are pure: the same readings give the same result, wherever they came from and go to",
		},
		{
			Of:    []string{"export", "analytics"},
			Never: []string{"bill/check", "rating", "vee", "readings/...", "ttp", "portal"},
			Why:   "they are pure: intervals in, and bytes or figures out, wherever the intervals came from",
		},
		{
			Of:    []string{"link"},
			Never: []string{"link/broker", mochiSDK},
			Why:   "a meter's binary carries no server",
		},
		{
			Of:       []string{"internal/plain/..."},
			OnlyFrom: []string{"vectors/clpke/generate", "vectors/wire/generate"},
			Why:      "the second implementation is slow, leaks by time, and is there to contradict the first",
		},
		{
			Of:    []string{"internal/plain/...", "vectors/..."},
			Never: []string{Outside, "wire/...", "clpke/...", "kgc", "bill", "tariff", "rating"},
			Why:   "vectors that share code with what they test prove nothing",
		},
		{
			Of:       []string{"math/rand/..."},
			OnlyFrom: []string{"meter", "meter/source", "internal/grid", "readings/readingstest"},
			Why:      "keys, names and nonces come from crypto/rand; this is for waits, simulations and faults",
		},
	}
}

// engines keeps each dependency behind the one package that stands for it.
func engines() []Rule {
	const driver = "an engine's SDK is imported by its driver only"
	return []Rule{
		{Of: []string{pebbleSDK}, OnlyFrom: []string{"readings/pebble", "collector/queue", "internal/grid"}, Why: driver},
		{Of: []string{sqliteSDK, gooseSDK}, OnlyFrom: []string{"internal/registry"}, Why: driver},
		{Of: []string{mochiSDK}, OnlyFrom: []string{"link/broker"}, Why: driver},
		{Of: []string{"github.com/eclipse/paho.golang/..."}, OnlyFrom: []string{"link"}, Why: driver},
		{Of: []string{"github.com/go-jose/go-jose/v4/..."}, OnlyFrom: []string{"bill"}, Why: driver},
		{Of: []string{"github.com/parquet-go/parquet-go/..."}, OnlyFrom: []string{"export"}, Why: driver},
		{Of: []string{"github.com/cockroachdb/apd/v3", "github.com/rickar/cal/v2/..."}, OnlyFrom: []string{"tariff"}, Why: driver},
		{
			Of:       []string{"github.com/transparency-dev/...", "golang.org/x/mod/...", "k8s.io/klog/v2"},
			OnlyFrom: []string{"transparency"},
			Why:      driver,
		},
		{Of: []string{"github.com/go-webauthn/webauthn/..."}, OnlyFrom: []string{"portal"}, Why: driver},
		{
			Of:       []string{"github.com/go-pdf/fpdf/...", "golang.org/x/image/..."},
			OnlyFrom: []string{"invoice"},
			Why:      driver,
		},
		{
			Of:       []string{"reconcile"},
			OnlyFrom: []string{"cmd/wattveil"},
			Why:      "it puts customers, places and bills together, which only the utility's operator may",
		},
		{
			Of:       []string{"invoice"},
			OnlyFrom: []string{"cmd/wattveil", "portal"},
			Why:      "only the utility's operator has customers to print, and the portal prints bills without (decisions/0018)",
		},
		{Of: []string{"github.com/prometheus/client_golang/..."}, OnlyFrom: []string{"internal/monitor"}, Why: driver},
		{
			Of:       []string{"github.com/danielgtaylor/huma/v2/..."},
			OnlyFrom: []string{"utility/api", "ttp/api", "collector/api"},
			Why:      "roles and their protocol are plain net/http; this is for their operators",
		},
		{
			Of:       []string{"github.com/knadh/koanf/...", "github.com/go-viper/mapstructure/v2"},
			OnlyFrom: []string{"internal/config"},
			Why:      "settings reach the rest as plain structs",
		},
		{
			Of:       []string{"filippo.io/nistec", "filippo.io/bigmod"},
			OnlyFrom: []string{"clpke/...", "kgc", "wire"},
			Why:      "arithmetic on curves stays where its test vectors are",
		},
		{
			Of:       []string{"github.com/spf13/cobra", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
			OnlyFrom: []string{"cmd/..."},
			Why:      "packages do not know that there is a terminal",
		},
	}
}
