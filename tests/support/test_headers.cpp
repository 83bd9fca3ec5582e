// Empty: the headers that all unit tests share are precompiled as those of this file.
