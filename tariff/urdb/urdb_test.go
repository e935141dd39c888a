package urdb_test

import (
	"os"
	"path/filepath"
	"testing"

	_ "time/tzdata"

	"github.com/wattveil/wattveil/tariff/urdb"
)

func TestTemp(t *testing.T) {
	files, _ := filepath.Glob("/work/shared/data/tariffs/urdb-cc0/*.json")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		got, err := urdb.Import(data, urdb.Options{Zone: "America/Los_Angeles"})
		if err != nil {
			t.Error(filepath.Base(f), err)
			continue
		}
		out, _ := got.MarshalJSON()
		t.Logf("%s\n%s", filepath.Base(f), out)
	}
}
