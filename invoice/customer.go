package invoice

import (
	"errors"
	"io"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/columns"
)

// Customers are the lines of name and address by meter.
type Customers map[wattveil.MeterID][]string

// ReadCustomers reads a CSV file with the columns meter and name, and up to six
// lines of address in address1 to address6.
func ReadCustomers(in io.Reader) (Customers, error) {
	address := []string{"address1", "address2", "address3", "address4", "address5", "address6"}
	list := make(Customers)
	err := columns.Read(in, []string{"meter", "name"}, address, func(r columns.Row) error {
		id, err := wattveil.ParseMeterID(r.Get("meter"))
		if err != nil {
			return r.Errorf("meter: %w", err)
		}
		if list[id] != nil {
			return r.Errorf("meter %v is there twice", id)
		}
		name := r.Get("name")
		if name == "" {
			return r.Errorf("name is empty")
		}
		lines := []string{name}
		for _, column := range address {
			if l := r.Get(column); l != "" {
				lines = append(lines, l)
			}
		}
		if err := CheckAddress(lines); err != nil {
			return r.Errorf("%w", err)
		}
		list[id] = lines
		return nil
	})
	if err == nil && len(list) == 0 {
		err = errors.New("there are no customers in it")
	}
	return list, err
}
