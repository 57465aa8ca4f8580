# why: Source that takes the compiler down: thousands of nested parentheses.
# allow: compile_error oom
f = eval("(" * 5000 + "1" + ")" * 5000)
