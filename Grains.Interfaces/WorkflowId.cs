using Actors.Calling;

namespace Actors;

/// <summary>
/// Names one workflow: a namespace and an id, both valid from construction on. Compared as bytes, never normalised.
/// </summary>
/// <remarks>An id is 1 to 200 UTF-8 bytes, a namespace 1 to 100; both well-formed and without control characters; a namespace holds no
/// '/'.</remarks>
public readonly record struct WorkflowId
{
    /// <summary>Longest id, in UTF-8 bytes.</summary>
    public const int IdBytesMax = 200;
    /// <summary>Longest namespace, in UTF-8 bytes.</summary>
    public const int NamespaceBytesMax = 100;
    /// <summary>The namespace of workflows whose callers name none.</summary>
    public const string DefaultNamespace = "default";

    /// <exception cref="InvalidWorkflowIdException">Either part is empty, too long, not well-formed, or holds a control
    /// character.</exception>
    public WorkflowId(string id, string @namespace = DefaultNamespace)
    {
        Id = Validated(id, "A workflow id", IdBytesMax);
        Namespace = Validated(@namespace, "A namespace", NamespaceBytesMax);
        if (@namespace.Contains('/', StringComparison.Ordinal))
        {
            throw new InvalidWorkflowIdException("A namespace cannot hold '/'.");
        }
    }

    /// <summary>Ids of two namespaces never meet.</summary>
    public string Namespace { get; }

    /// <summary>Unique within its namespace.</summary>
    public string Id { get; }

    /// <summary>The key of the workflow's grain: <c>namespace/id</c>.</summary>
    public string GrainKey => $"{Namespace}/{Id}";

    /// <summary>The id whose <see cref="GrainKey"/> this is.</summary>
    /// <exception cref="InvalidWorkflowIdException">It is no such key.</exception>
    public static WorkflowId FromGrainKey(string key)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        return slash < 0
            ? throw new InvalidWorkflowIdException("A workflow's grain key is namespace/id.")
            : new WorkflowId(key[(slash + 1)..], key[..slash]);
    }

    /// <summary>The id; with its namespace before it where that is not the default one.</summary>
    public override string ToString() => Namespace == DefaultNamespace ? Id : GrainKey;

    private static string Validated(string text, string what, int bytesMax) =>
        NameRule.Broken(text, what, bytesMax, inBytes: true) is { } sentence ? throw new InvalidWorkflowIdException(sentence) : text;
}
