/* HMAC (RFC 2104) of many short messages with one key: what auth.PreparedHmac does, compiled.

   The hash functions are those that Python's hashlib itself is made of. They are looked up in the libcrypto that it
   has loaded already, so nothing of OpenSSL is needed to build this. For messages as short as ours, copying a hash
   state through two layers of objects costs more than hashing; here a state is a plain structure. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 64, LONGEST_DIGEST = 32 }; /* octets, of SHA-1 and SHA-256 alike; of SHA-256 */

/* Holds a SHA_CTX or SHA256_CTX, whose sizes are 96 and 112 octets since OpenSSL 0.9.8 and part of its ABI. */
typedef struct {
    uint64_t words[16];
} State;

typedef struct {
    const char *name;
    size_t digest_size;
    int (*init)(State *);
    int (*update)(State *, const void *, size_t);
    int (*final)(unsigned char *, State *);
} Hash;

static Hash hashes[] = {{.name = "SHA1", .digest_size = 20}, {.name = "SHA256", .digest_size = 32}};

typedef struct {
    const Hash *hash;
    State inner, outer; /* after the padded key */
} Prepared;

static const char CAPSULE[] = "controller.lisp._hmac.Prepared";

static PyObject *
digest(PyObject *capsule, PyObject *message)
{
    Prepared *prepared = PyCapsule_GetPointer(capsule, CAPSULE);
    char *octets;
    Py_ssize_t length;
    if (prepared == NULL || PyBytes_AsStringAndSize(message, &octets, &length) < 0)
        return NULL;
    const Hash *hash = prepared->hash;
    unsigned char found[LONGEST_DIGEST];
    State state = prepared->inner;
    int done = hash->update(&state, octets, (size_t)length) && hash->final(found, &state);
    state = prepared->outer;
    done = done && hash->update(&state, found, hash->digest_size) && hash->final(found, &state);
    if (!done) {
        PyErr_SetString(PyExc_RuntimeError, "libcrypto cannot hash");
        return NULL;
    }
    return PyBytes_FromStringAndSize((char *)found, (Py_ssize_t)hash->digest_size);
}

static PyMethodDef digest_method = {"digest", digest, METH_O, "digest(message: bytes) -> bytes\n\nThe whole MAC."};

static void
release(PyObject *capsule)
{
    Prepared *prepared = PyCapsule_GetPointer(capsule, CAPSULE);
    memset(prepared, 0, sizeof *prepared);
    PyMem_Free(prepared);
}

static int
start(const Hash *hash, State *state, const unsigned char *key, unsigned char pad)
{
    unsigned char padded[BLOCK];
    for (int at = 0; at < BLOCK; at++)
        padded[at] = key[at] ^ pad;
    return hash->init(state) && hash->update(state, padded, BLOCK);
}

static PyObject *
prepare(PyObject *module, PyObject *args)
{
    const char *name;
    const unsigned char *secret;
    Py_ssize_t length;
    (void)module;
    if (!PyArg_ParseTuple(args, "y#s", &secret, &length, &name))
        return NULL;
    const Hash *hash = NULL;
    for (size_t at = 0; at < sizeof hashes / sizeof *hashes; at++)
        if (strcmp(hashes[at].name, name) == 0)
            hash = &hashes[at];
    if (hash == NULL)
        return PyErr_Format(PyExc_ValueError, "no hash function %s", name);
    unsigned char key[BLOCK] = {0};
    State state;
    int done = 1;
    if (length <= BLOCK)
        memcpy(key, secret, (size_t)length);
    else
        done = hash->init(&state) && hash->update(&state, secret, (size_t)length) && hash->final(key, &state);
    Prepared *prepared = PyMem_Calloc(1, sizeof *prepared);
    if (prepared == NULL)
        return PyErr_NoMemory();
    prepared->hash = hash;
    done = done && start(hash, &prepared->inner, key, 0x36) && start(hash, &prepared->outer, key, 0x5C);
    PyObject *capsule = PyCapsule_New(prepared, CAPSULE, release);
    if (capsule == NULL) {
        PyMem_Free(prepared);
        return NULL;
    }
    PyObject *function = NULL;
    if (done)
        function = PyCFunction_New(&digest_method, capsule);
    else
        PyErr_SetString(PyExc_RuntimeError, "libcrypto cannot hash");
    Py_DECREF(capsule); /* the function keeps it */
    return function;
}

static PyMethodDef methods[] = {
    {"prepare", prepare, METH_VARARGS,
     "prepare(secret: bytes, hash_function: str) -> Callable[[bytes], bytes]\n\n"
     "The function from octets to their HMAC by SHA1 or SHA256."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_hmac", "HMAC of many short messages.", -1, methods,
                                        NULL, NULL, NULL, NULL};

/* Find init, update and final of one hash function in what hashlib's own module has loaded. */
static int
look_up(void *library, Hash *hash)
{
    const char *parts[] = {"Init", "Update", "Final"};
    void *found[3];
    for (int at = 0; at < 3; at++) {
        char name[32];
        PyOS_snprintf(name, sizeof name, "%s_%s", hash->name, parts[at]);
        found[at] = dlsym(library, name);
        if (found[at] == NULL) {
            PyErr_Format(PyExc_ImportError, "libcrypto has no %s", name);
            return -1;
        }
    }
    memcpy(&hash->init, &found[0], sizeof found[0]);
    memcpy(&hash->update, &found[1], sizeof found[1]);
    memcpy(&hash->final, &found[2], sizeof found[2]);
    return 0;
}

PyMODINIT_FUNC
PyInit__hmac(void)
{
    PyObject *hashlib = PyImport_ImportModule("_hashlib");
    if (hashlib == NULL)
        return NULL;
    PyObject *file = PyModule_GetFilenameObject(hashlib);
    PyObject *encoded = NULL, *module = NULL;
    if (file != NULL && PyUnicode_FSConverter(file, &encoded)) {
        /* Never closed: what the functions are in has to stay. */
        void *library = dlopen(PyBytes_AsString(encoded), RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            PyErr_SetString(PyExc_ImportError, dlerror());
        else if (look_up(library, &hashes[0]) == 0 && look_up(library, &hashes[1]) == 0)
            module = PyModule_Create(&definition);
    }
    else if (PyErr_ExceptionMatches(PyExc_SystemError)) {
        PyErr_SetString(PyExc_ImportError, "hashlib is part of the interpreter");
    }
    Py_XDECREF(encoded);
    Py_XDECREF(file);
    Py_DECREF(hashlib);
    return module;
}
