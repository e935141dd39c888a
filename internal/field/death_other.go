//go:build !linux

package field

import "syscall"

// endsWithTest does nothing where the system cannot do it: a test that is killed
// leaves its processes behind.
func endsWithTest() *syscall.SysProcAttr { return nil }
