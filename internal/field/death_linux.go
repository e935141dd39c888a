package field

import "syscall"

// endsWithTest has a process killed when the thread that started it ends, and so
// with the test, however that ends.
func endsWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
