"""What runs inside a sandbox: the fork server, the candidate's harness and the driver of trusted test source.

These modules are sent as source over the server's standard input (`verify.forkserver.bundle`), so a sandbox
needs nothing of ours on its disk. They use the standard library only. The harness shares a process with the
candidate: nothing it reports is believed beyond "this is an output for an input that was really sent".
"""
