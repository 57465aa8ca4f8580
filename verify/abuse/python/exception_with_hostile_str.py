# why: An exception whose text, class name and traceback attack whoever prints them.
# allow: runtime_error failed bad_output output_limit oom timeout
class Meta(type):
    __name__ = property(lambda cls: "A" * 10**6)
class Bad(Exception, metaclass=Meta):
    def __str__(self):
        while True:
            print("x" * 1000)
def f(x):
    raise Bad()
